// Gathers the microphone into blocks of 20 ms, int16 mono.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(sampleRate / 50));
    this.filled = 0;
    this.peak = 0;
  }

  process([[channel]]) {
    if (!channel) return true;
    for (const sample of channel) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.block[this.filled++] = Math.round(clipped * 32767);
      if (this.filled === this.block.length) {
        const block = this.block.slice();
        this.port.postMessage({ samples: block.buffer, peak: this.peak }, [block.buffer]);
        this.filled = 0;
        this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
