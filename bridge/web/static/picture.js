// Draws the avatar's frames: at once while it is silent here, in step with the sound while that is played.

const SAMPLES_PER_MS = 16;
const LONGEST_WAIT_MS = 400; // a picture waits for its sound no longer than this

export class Picture {
  /**
   * @param {HTMLCanvasElement} canvas takes the frames' size.
   * @param {import("./sound.js").Sound} sound
   */
  constructor(canvas, sound) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.sound = sound;
    this.waiting = []; // frames not drawn yet, oldest first
    this.drawnTimes = []; // of the last second, ms
    this.delayMs = 0; // from a frame's arrival to its drawing, smoothed
    const loop = () => {
      this.drawDue();
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  take(frame) {
    frame.arrived = performance.now();
    if (this.waiting.length && frame.epoch !== this.waiting.at(-1).epoch) this.waiting = []; // a barge-in
    this.waiting.push(frame);
    if (document.hidden) this.drawDue(); // no animation frames come to a hidden page
  }

  /** Forgets what waits; the picture stays. */
  forget() {
    this.waiting = [];
  }

  clear() {
    this.forget();
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Pictures drawn in the last second. */
  get fps() {
    const now = performance.now();
    this.drawnTimes = this.drawnTimes.filter((time) => now - time < 1000);
    return this.drawnTimes.length;
  }

  drawDue() {
    if (!this.waiting.length) return;
    const now = performance.now();
    const heard = this.sound.on ? this.sound.heardNow() : null;
    const due = this.waiting.findLastIndex(
      ({ pts, arrived }) =>
        heard === null || pts <= heard + 8 * SAMPLES_PER_MS || now - arrived > LONGEST_WAIT_MS,
    );
    if (due < 0) return;
    const { image, arrived } = this.waiting[due];
    this.waiting.splice(0, due + 1);
    if (this.canvas.width !== image.width || this.canvas.height !== image.height) {
      this.canvas.width = image.width;
      this.canvas.height = image.height;
    }
    this.pen.putImageData(image, 0, 0);
    this.delayMs += (now - arrived - this.delayMs) / 8;
    this.drawnTimes.push(now);
  }
}
