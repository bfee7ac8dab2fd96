// Cards for what a daemon may offer: avatars, microphone controls, expression, recording. Hidden until offered.

const $ = (id) => document.getElementById(id);

const MODE_NAMES = { open: "Always on", vad: "When you speak", push_to_talk: "Push to talk" };
const EXPRESSIONS = {
  mouthSmile: "Smile",
  mouthFrown: "Frown",
  browInnerUp: "Worry",
  browOuterUp: "Surprise",
  browDown: "Anger",
  eyeWide: "Wide eyes",
};

/** Mode, mute and push-to-talk of one microphone. */
export class MicrophoneControls {
  /** @param {string} id of the box to fill; @param {{onMode, onMuted, onTalk}} handlers */
  constructor(id, handlers) {
    this.box = $(id);
    this.box.append($("microphone-controls").content.cloneNode(true));
    this.modes = this.box.querySelector(".chips");
    this.mute = this.box.querySelector(".mute");
    this.talk = this.box.querySelector(".talk");
    this.id = id;
    this.shown = "";
    this.muted = false;
    this.modes.onchange = ({ target }) => handlers.onMode(target.value);
    this.mute.onclick = () => handlers.onMuted(!this.muted);
    const press = (pressed) => {
      if (this.talk.classList.toggle("pressed", pressed) === this.talking) return;
      this.talking = pressed;
      handlers.onTalk(pressed);
    };
    this.talking = false;
    this.talk.onpointerdown = (event) => {
      this.talk.setPointerCapture(event.pointerId);
      press(true);
    };
    this.talk.onpointerup = this.talk.onpointercancel = this.talk.onblur = () => press(false);
    this.talk.onkeydown = (event) => event.key === " " && press(true);
    this.talk.onkeyup = (event) => event.key === " " && press(false);
  }

  /** @param {{modes: string[], mode: string, muted: boolean}} state */
  show({ modes, mode, muted }) {
    this.muted = muted;
    this.box.hidden = false;
    if (this.shown !== modes.join()) {
      this.shown = modes.join();
      this.modes.replaceChildren(...modes.map((name) => chip(this.id, name, MODE_NAMES[name] ?? name)));
    }
    for (const radio of this.modes.querySelectorAll("input")) radio.checked = radio.value === mode;
    this.mute.setAttribute("aria-pressed", String(muted));
    this.mute.textContent = muted ? "Muted" : "Mute";
    this.talk.hidden = mode !== "push_to_talk";
  }

  hide() {
    this.box.hidden = true;
  }
}

function chip(group, value, text) {
  const label = document.createElement("label");
  const radio = document.createElement("input");
  const name = document.createElement("span");
  radio.type = "radio";
  radio.name = group;
  radio.value = value;
  name.textContent = text;
  label.append(radio, name);
  return label;
}

let shownAvatars = "";

/** The open avatars; one alone needs no list. */
export function showAvatars(avatars, chosen, onChoose) {
  const news = JSON.stringify([avatars, chosen]);
  if (news === shownAvatars) return; // the list keeps its focus
  shownAvatars = news;
  $("avatars-card").hidden = avatars.length < 2;
  $("avatars").replaceChildren(
    ...avatars.map((avatar) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      const name = document.createElement("b");
      const figures = document.createElement("small");
      button.type = "button";
      button.setAttribute("aria-pressed", String(avatar.avatar_id === chosen));
      name.textContent = avatar.name;
      figures.textContent = `${avatar.avatar_id} · ${avatar.size_px} px · ${avatar.fps} fps`;
      button.append(name, figures);
      button.onclick = () => onChoose(avatar.avatar_id);
      item.append(button);
      return item;
    }),
  );
}

/** Sliders of the expression. */
export class Expression {
  /**
   * @param {(values: Object<string, number>) => Promise<void>} send
   * @param {(text: string) => void} onError
   */
  constructor(send, onError) {
    this.send = send;
    this.onError = onError;
    this.waiting = null; // values to send when the answer is there
    this.busy = false;
    this.values = {};
    $("sliders").replaceChildren(...Object.entries(EXPRESSIONS).map(([name, text]) => this.slider(name, text)));
    $("expression-reset").onclick = () => {
      this.show({});
      this.change();
    };
  }

  /** @param {boolean} possible with this avatar */
  offer(possible) {
    $("expression-card").hidden = !possible;
  }

  /** Somebody has set these; the page's own come back this way, too. */
  show(values) {
    if (this.busy) return;
    this.values = { ...values };
    for (const slider of $("sliders").querySelectorAll("input")) slider.value = values[slider.name] ?? 0;
  }

  slider(name, text) {
    const label = document.createElement("label");
    const slider = document.createElement("input");
    slider.type = "range";
    Object.assign(slider, { min: 0, max: 1, step: 0.05, value: 0, name });
    slider.oninput = () => {
      this.values[name] = Number(slider.value);
      this.change();
    };
    label.append(text, slider);
    return label;
  }

  /** Asks for the newest values, one request at a time; `unsupported` hides the card. */
  async change() {
    this.waiting = { ...this.values };
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting) {
        const values = this.waiting;
        this.waiting = null;
        await this.send(values);
      }
    } catch (error) {
      this.waiting = null;
      this.offer(error.code !== "unsupported");
      if (error.code !== "unsupported") this.onError(error.message);
    } finally {
      this.busy = false;
    }
  }
}

/** Recording to a file while live. */
export class Recording {
  /** @param {(command: object) => void} send */
  constructor(send) {
    this.state = { active: false, formats: [] };
    $("record").onclick = () => {
      const format = document.querySelector("[name=record-format]:checked")?.value;
      send(this.state.active ? { type: "record_stop" } : { type: "record_start", format });
    };
  }

  /** @param {{active: boolean, formats: string[], file: string, seconds: number} | undefined} state */
  show(state) {
    $("recording-card").hidden = !state;
    if (!state) return;
    if (state.formats.join() !== this.state.formats.join()) {
      $("record-formats").replaceChildren(
        ...state.formats.map((name) => chip("record-format", name, name.toUpperCase())),
      );
      $("record-formats").querySelector("input").checked = true;
    }
    this.state = state;
    $("record-formats").hidden = state.active || state.formats.length < 2;
    $("record").setAttribute("aria-pressed", String(state.active));
    $("record").lastElementChild.textContent = state.active ? `Stop · ${clock(state.seconds)}` : "Record";
    $("record-file").textContent = state.file;
  }
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
