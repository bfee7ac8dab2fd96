// Sound out and microphone in, both through the Web Audio interface.

const SAMPLE_RATE_HZ = 16000;

/** Plays the avatar's sound; off until the user turns it on, as browsers demand. */
export class Sound {
  constructor() {
    this.context = null;
    this.player = null;
    this.heard = null; // {pts, time}: this sample leaves the speaker's queue at this context time
  }

  get on() {
    return this.player !== null;
  }

  async turnOn() {
    this.context = new AudioContext({ sampleRate: SAMPLE_RATE_HZ, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/static/player-worklet.js");
    await this.context.resume();
    this.player = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => (this.heard = data);
    this.player.connect(this.context.destination);
  }

  async turnOff() {
    this.player = null;
    this.heard = null;
    await this.context?.close();
  }

  clear() {
    this.heard = null;
    this.player?.port.postMessage({ clear: true });
  }

  play({ pts, samples, ownMicrophone }) {
    if (!this.on) return;
    // One's own voice, a moment later, would disturb: silence keeps the pictures' clock going.
    const audible = ownMicrophone ? new Float32Array(samples.length) : samples.slice();
    this.player.port.postMessage({ pts, samples: audible }, [audible.buffer]);
  }

  /** The sample that is heard now, null when unknown: pictures are then shown as they come. */
  heardNow() {
    if (!this.heard || this.context?.state !== "running") return null;
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    const elapsed = this.context.currentTime - this.heard.time - latency;
    return elapsed > 0.5 ? null : this.heard.pts + elapsed * SAMPLE_RATE_HZ;
  }
}

/** The browser's microphone as int16 blocks of 20 ms. */
export class Microphone {
  constructor() {
    this.stream = null;
    this.context = null;
  }

  get on() {
    return this.stream !== null;
  }

  get rateHz() {
    return this.context.sampleRate;
  }

  /** Asks for the microphone, then gives blocks. Throws an Error with one line. */
  async turnOn(onBlock) {
    if (!navigator.mediaDevices) throw new Error("This browser gives no microphone to this page.");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      const reasons = {
        NotAllowedError: "The microphone is not allowed: permit it in the address bar and try again.",
        NotFoundError: "No microphone found: connect one and try again.",
        NotReadableError: "The microphone is used by another program.",
      };
      throw new Error(reasons[error.name] ?? `The microphone cannot be opened (${error.name}).`);
    }
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/static/microphone-worklet.js");
    await this.context.resume();
    const node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => onBlock(data);
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  async turnOff() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    await this.context?.close();
    this.context = null;
  }
}
