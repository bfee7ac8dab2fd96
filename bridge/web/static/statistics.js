// The avatar's figures: a chart of what each stage costs per frame, where the delay comes from, what was lost.

const SHOWN_SECONDS = 120;
const COLOURS = ["#f0b36a", "#6ab7f0", "#8fd08a", "#b58af0", "#f0796a", "#d8d27a"];
const INK = { line: "#262c36", budget: "#f0796a" };
const NAMES = {
  speech_ms: "speech",
  utterances: "utterances",
  frames: "frames",
  audio: "audio",
  events: "events",
  old_epoch: "cancelled",
};

const $ = (id) => document.getElementById(id);

export class Statistics {
  constructor() {
    this.history = []; // stages_ms by second, oldest first
    this.stages = []; // names in the order of their colours
    this.frameMs = 40;
    new ResizeObserver(() => this.draw()).observe($("chart"));
  }

  /** @param {{fps: number, lookahead_ms: number}} avatar whose figures follow */
  begin(avatar) {
    this.history = [];
    this.stages = [];
    this.frameMs = 1000 / avatar.fps;
    this.lookaheadMs = avatar.lookahead_ms;
    this.draw();
  }

  /** @param statistics the daemon's message; @param {number} pageMs what this page adds */
  show(statistics, pageMs) {
    this.history.push(statistics.stages_ms);
    if (this.history.length > SHOWN_SECONDS) this.history.shift();
    for (const name of Object.keys(statistics.stages_ms)) if (!this.stages.includes(name)) this.stages.push(name);
    this.draw();
    this.showLegend(statistics.stages_ms);
    this.showDelay(statistics, pageMs);
    const first = statistics.first_frame_ms;
    $("first-frame").textContent = first < 0 ? "–" : `${Math.round(first)} ms`;
    $("stalls").textContent = statistics.stalls ? `${statistics.stalls} · ${duration(statistics.stalled_ms)}` : "0";
    const { speech_ms: waiting = 0, ...queues } = statistics.queues;
    $("waiting").textContent = duration(waiting);
    $("waiting").parentElement.title = `Queues: ${listed(queues)}`;
    const outputs = Object.entries(statistics.delays_ms ?? {});
    $("outputs").parentElement.hidden = !outputs.length;
    $("outputs").textContent = outputs.map(([name, ms]) => `${name} ${Math.round(ms)} ms`).join(", ");
    const lost = Object.entries(statistics.drops).filter(([, count]) => count > 0);
    $("drops").textContent = lost.length ? listed(Object.fromEntries(lost)) : "0";
    $("drops").parentElement.title =
      `Lost so far: ${listed(statistics.drops)}; microphone skipped ${duration(statistics.skipped_audio_ms)}`;
  }

  showLegend(stages) {
    $("legend").replaceChildren(
      ...this.stages.map((name, index) => entry(COLOURS[index % COLOURS.length], name, stages[name] ?? 0)),
    );
  }

  showDelay({ lead_ms: lead, compute_ms: compute, transport_ms: transport }, pageMs) {
    const ahead = Math.min(this.lookaheadMs, lead);
    const computing = Math.min(compute, lead - ahead);
    const parts = [
      ["listens ahead", ahead],
      ["computes", computing],
      ["in reserve", lead - ahead - computing],
      ["transport", transport],
      ["this page", pageMs],
    ];
    $("delay").replaceChildren(
      ...parts.map(([name, ms], index) => {
        const piece = document.createElement("i");
        piece.style.flexGrow = Math.max(ms, 0);
        piece.style.background = COLOURS[index];
        piece.title = `${name} ${Math.round(ms)} ms`;
        return piece;
      }),
    );
    $("delay-legend").replaceChildren(...parts.map(([name, ms], index) => entry(COLOURS[index], name, ms)));
  }

  draw() {
    const canvas = $("chart");
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width) return;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const sums = this.history.map((stages) => Object.values(stages).reduce((sum, ms) => sum + ms, 0));
    // A rare peak is cut off, so that it does not flatten all the rest.
    const top = Math.min(Math.max(this.frameMs * 1.15, ...sums.map((sum) => sum * 1.1)), this.frameMs * 3);
    const y = (ms) => height - (ms / top) * height;
    const step = width / (SHOWN_SECONDS - 1);
    const x = (index) => width - (this.history.length - 1 - index) * step;

    pen.font = "11px system-ui, sans-serif";
    pen.lineWidth = 1;
    pen.strokeStyle = INK.line;
    for (const share of [0.25, 0.5, 0.75]) line(pen, 0, height * share, width);
    const base = this.history.map(() => 0);
    this.stages.forEach((name, stage) => {
      pen.beginPath();
      this.history.forEach((_, index) => pen.lineTo(x(index), y(base[index])));
      for (let index = this.history.length - 1; index >= 0; index--) {
        base[index] += this.history[index][name] ?? 0;
        pen.lineTo(x(index), y(base[index]));
      }
      pen.closePath();
      pen.fillStyle = pen.strokeStyle = COLOURS[stage % COLOURS.length];
      pen.globalAlpha = 0.75;
      pen.fill();
      pen.globalAlpha = 1;
    });
    pen.setLineDash([5, 4]);
    pen.strokeStyle = pen.fillStyle = INK.budget;
    line(pen, 0, y(this.frameMs), width);
    pen.setLineDash([]);
    pen.fillText(`a frame lasts ${Math.round(this.frameMs)} ms`, 6, y(this.frameMs) - 4);
  }
}

function line(pen, left, height, right) {
  pen.beginPath();
  pen.moveTo(left, Math.round(height) + 0.5);
  pen.lineTo(right, Math.round(height) + 0.5);
  pen.stroke();
}

function entry(colour, name, ms) {
  const item = document.createElement("li");
  const mark = document.createElement("i");
  const value = document.createElement("b");
  mark.style.background = colour;
  value.textContent = `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  item.append(mark, name.replaceAll("_", " "), value);
  return item;
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function listed(counts) {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${NAMES[name] ?? name.replaceAll("_", " ")}`)
    .join(", ");
}
