// The live connection: binary pictures and sound in, commands out; comes back by itself when it is lost.

const HEADER_BYTES = 24;
const PICTURE = 1;
const RETRY_MS = [500, 1000, 2000, 4000];

export class Connection {
  /** @param {{onSession, onFrame, onSound, onMessage, onLost}} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.socket = null;
    this.token = "";
    this.attempt = 0;
    this.open();
  }

  async open() {
    try {
      const response = await fetch("/session", { cache: "no-store" });
      if (!response.ok) throw new Error(await response.text());
      const session = await response.json();
      this.token = session.token; // a restarted daemon has a new one
      this.handlers.onSession(session);
      await this.connect();
    } catch {
      this.retry();
    }
  }

  connect() {
    const socket = new WebSocket(`ws://${location.host}/live?token=${encodeURIComponent(this.token)}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onopen = () => (this.attempt = 0);
    socket.onclose = () => this.retry();
    this.socket = socket;
  }

  retry() {
    this.socket = null;
    this.handlers.onLost();
    setTimeout(() => this.open(), RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)]);
  }

  receive(data) {
    if (typeof data === "string") {
      this.handlers.onMessage(JSON.parse(data));
      return;
    }
    const header = new DataView(data, 0, HEADER_BYTES);
    const pts = header.getFloat64(16, true);
    if (header.getUint8(0) === PICTURE) {
      this.send({ type: "ack" });
      const width = header.getUint32(4, true);
      const height = header.getUint32(8, true);
      const pixels = new Uint8ClampedArray(data, HEADER_BYTES);
      const epoch = header.getUint32(12, true);
      this.handlers.onFrame({ pts, epoch, image: new ImageData(pixels, width, height) });
    } else {
      const ownMicrophone = (header.getUint8(2) & 1) !== 0;
      this.handlers.onSound({ pts, ownMicrophone, samples: new Float32Array(data, HEADER_BYTES) });
    }
  }

  get connected() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(command) {
    if (this.connected) this.socket.send(JSON.stringify(command));
  }

  sendSamples(buffer) {
    if (this.connected) this.socket.send(buffer);
  }

  /** Sends an audio file to be spoken. Resolves when it is queued; throws an Error with one line otherwise. */
  async speak(file) {
    const response = await fetch(`/speak?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "X-LLIA-Token": this.token, "Content-Type": "application/octet-stream" },
      body: file,
    });
    if (response.ok) return;
    const text = await response.text();
    let reason = text;
    try {
      reason = JSON.parse(text).error;
    } catch {
      // plain text already
    }
    throw new Error(reason);
  }
}
