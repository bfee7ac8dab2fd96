// The live connection: binary pictures and sound in, commands out; comes back by itself when it is lost.

const HEADER_BYTES = 24;
const PICTURE = 1;
const RETRY_MS = [500, 1000, 2000, 4000];

export class Connection {
  /**
   * @param {string} path "/live" drives the avatar and needs the page's cookie, "/watch" only looks.
   * @param {Object<string, string>} query of the path: `avatar`, `sound`.
   * @param {{onSession, onRefused, onFrame, onSound, onMessage, onLost}} handlers the first two for "/live" only.
   */
  constructor(path, query, handlers) {
    this.path = path;
    this.query = query;
    this.handlers = handlers;
    this.socket = null;
    this.attempt = 0;
    this.requests = new Map(); // resolve and reject by id
    this.lastId = 0;
    this.open();
  }

  async open() {
    try {
      if (this.path === "/live") await this.greet();
      this.connect();
    } catch {
      this.retry();
    }
  }

  async greet() {
    const response = await fetch("/session", { cache: "no-store" });
    if (response.status === 403) this.handlers.onRefused(); // another start of the daemon, another token
    if (!response.ok) throw new Error(await response.text());
    this.handlers.onSession(await response.json());
  }

  connect() {
    const socket = new WebSocket(`ws://${location.host}${this.path}?${new URLSearchParams(this.query)}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onopen = () => (this.attempt = 0);
    socket.onclose = () => this.retry();
    this.socket = socket;
  }

  retry() {
    this.socket = null;
    this.requests.forEach(({ reject }) => reject(new Error("The connection was lost.")));
    this.requests.clear();
    this.handlers.onLost();
    setTimeout(() => this.open(), RETRY_MS[Math.min(this.attempt++, RETRY_MS.length - 1)]);
  }

  /** Shows another avatar. */
  choose(avatarId) {
    this.query.avatar = avatarId;
    this.attempt = 0;
    this.socket?.close();
  }

  receive(data) {
    if (typeof data === "string") {
      this.told(JSON.parse(data));
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

  told(message) {
    const request = this.requests.get(message.id);
    if (!request) {
      this.handlers.onMessage(message);
      return;
    }
    this.requests.delete(message.id);
    if (message.type === "ok") request.resolve();
    else request.reject(Object.assign(new Error(message.text), { code: message.code }));
  }

  get connected() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(command) {
    if (this.connected) this.socket.send(JSON.stringify(command));
  }

  /** Sends a command; resolves when it was carried out, throws an Error with `code` and one line otherwise. */
  request(command) {
    if (!this.connected) return Promise.reject(new Error("Not connected."));
    const id = ++this.lastId;
    this.send({ ...command, id });
    return new Promise((resolve, reject) => this.requests.set(id, { resolve, reject }));
  }

  sendSamples(buffer) {
    if (this.connected) this.socket.send(buffer);
  }

  /** Sends an audio file to be spoken. Resolves when it is queued; throws an Error with one line otherwise. */
  async speak(file) {
    const query = new URLSearchParams({ name: file.name, avatar: this.query.avatar });
    const response = await fetch(`/speak?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
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
