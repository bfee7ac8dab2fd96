// Plays the avatar's sound, 16 kHz, and tells which of its samples is heard when, so that pictures follow it.

const TARGET_SAMPLES = 1280; // 80 ms in hand before playing: covers the scheduler's jitter
const MOST_SAMPLES = 4800; // 300 ms: beyond this the sound has fallen behind and skips ahead
const REPORT_SECONDS = 0.05;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.clear();
    this.port.onmessage = ({ data }) => (data.clear ? this.clear() : this.take(data));
  }

  clear() {
    this.pieces = []; // {pts, samples, used}
    this.waiting = 0;
    this.playing = false;
    this.reported = -1;
  }

  take({ pts, samples }) {
    const last = this.pieces.at(-1);
    // After a barge-in or a gap the sound starts anew; what waited is out of date.
    if (last && Math.abs(last.pts + last.samples.length - pts) > 64) this.clear();
    this.pieces.push({ pts, samples, used: 0 });
    this.waiting += samples.length;
    while (this.waiting > MOST_SAMPLES && this.pieces.length > 1) this.drop();
  }

  drop() {
    const piece = this.pieces.shift();
    this.waiting -= piece.samples.length - piece.used;
    this.reported = -1;
  }

  process(_, [[channel]]) {
    if (!this.playing && this.waiting >= TARGET_SAMPLES) this.playing = true;
    if (!this.playing) return true;
    if (currentTime - this.reported > REPORT_SECONDS && this.pieces.length) {
      this.port.postMessage({ pts: this.pieces[0].pts + this.pieces[0].used, time: currentTime });
      this.reported = currentTime;
    }
    let filled = 0;
    while (filled < channel.length && this.pieces.length) {
      const piece = this.pieces[0];
      const count = Math.min(channel.length - filled, piece.samples.length - piece.used);
      channel.set(piece.samples.subarray(piece.used, piece.used + count), filled);
      piece.used += count;
      filled += count;
      this.waiting -= count;
      if (piece.used === piece.samples.length) this.pieces.shift();
    }
    if (filled < channel.length) this.playing = false; // ran dry: gather again
    return true;
  }
}

registerProcessor("player", Player);
