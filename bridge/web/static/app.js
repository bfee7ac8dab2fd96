// The control page: shows the avatar and its figures, turns clicks, files and the microphone into commands.

import { Connection } from "./connection.js";
import { Expression, MicrophoneControls, Recording, showAvatars } from "./parts.js";
import { Picture } from "./picture.js";
import { Microphone, Sound } from "./sound.js";
import { Statistics } from "./statistics.js";

const STATE_NAMES = { speaking: "Speaking", listening: "Listening", idle: "Idle" };

const $ = (id) => document.getElementById(id);
const sound = new Sound();
const microphone = new Microphone();
const picture = new Picture($("view"), sound);
const charts = new Statistics();

let statistics = null;
let avatar = null; // the one shown
let maxUploadBytes = Infinity;

if (location.search) history.replaceState(null, "", "/"); // the cookie has the token now

const connection = new Connection("/live", { avatar: "" }, {
  onSession(session) {
    const { avatars } = session;
    maxUploadBytes = session.max_upload_bytes;
    showEndpoints(session.endpoints);
    avatar = avatars.find(({ avatar_id: id }) => id === connection.query.avatar) ?? avatars[0];
    if (!avatar) throw new Error("no avatar is open");
    connection.query.avatar = avatar.avatar_id;
    $("avatar-name").textContent = avatar.name;
    document.title = `LLIA · ${avatar.name}`;
    charts.begin(avatar);
    $("fps-box").title = `Pictures drawn in the last second; the avatar makes ${avatar.fps}, on ${avatar.provider}`;
  },
  onRefused() {
    $("lost-text").textContent = "The daemon was started anew: open the address that it prints.";
  },
  onFrame: (frame) => picture.take(frame),
  onSound: (piece) => sound.play(piece),
  onMessage: (message) => handlers[message.type]?.(message),
  onLost() {
    $("lost").hidden = false;
    $("state").dataset.state = "";
    $("state").lastChild.textContent = "Not connected";
    statistics = null;
    picture.forget();
    sound.clear();
    stopMicrophone();
  },
});

const handlers = {
  welcome(message) {
    $("lost").hidden = true;
    $("lost-text").textContent = "Connection lost. Trying again …";
    showState(message.state);
    showParts(message);
    expression.offer(message.parts.expression.possible);
    const chosen = document.querySelector("[name=state]:checked").value;
    if (chosen !== "auto") connection.send({ type: "set_state", state: chosen }); // after a lost connection
  },
  state: ({ state }) => showState(state),
  statistics(message) {
    statistics = message;
    charts.show(message, picture.delayMs);
  },
  parts: (message) => showParts(message),
  cancelled: () => sound.clear(),
  expression: ({ controls }) => expression.show(controls),
  finished: ({ utterance_id: id }) => id.startsWith("page-file-") && note(""),
  error: ({ text }) => note(text, "error"),
};

/** Sends a command; what the daemon refuses is told in one line. */
async function ask(command) {
  try {
    await connection.request(command);
  } catch (error) {
    note(error.message, "error");
  }
}

setInterval(() => {
  $("fps").textContent = connection.connected ? picture.fps : "–";
  if (!statistics) {
    $("latency").textContent = "–";
    return;
  }
  const { lead_ms: lead, transport_ms: transport } = statistics;
  $("latency").textContent = `${Math.round(lead + transport + picture.delayMs)} ms`;
  $("latency-box").title =
    `From a sound's arrival to its picture here: daemon ${Math.round(lead)} ms, ` +
    `transport ${Math.round(transport)} ms, this page ${Math.round(picture.delayMs)} ms`;
}, 250);

function showState(state) {
  $("state").dataset.state = state;
  $("state").lastChild.textContent = STATE_NAMES[state] ?? state;
}

// --- speech in

function note(text, kind = "") {
  $("note").textContent = text;
  $("note").dataset.kind = kind;
}

async function speak(file) {
  if (!file) return;
  if (file.size > maxUploadBytes) {
    note(`${file.name} is larger than ${Math.floor(maxUploadBytes / 2 ** 20)} MB.`, "error");
    return;
  }
  note(`Sending ${file.name} …`);
  try {
    await connection.speak(file);
    note(`Speaking ${file.name}`);
  } catch (error) {
    note(error.message === "Failed to fetch" ? "The daemon does not answer." : error.message, "error");
  }
}

$("stop").onclick = () => {
  ask({ type: "cancel" });
  note("");
};
$("choose").onclick = () => $("file").click();
$("file").onchange = ({ target }) => {
  speak(target.files[0]);
  target.value = "";
};
addEventListener("keydown", (event) => event.key === "Escape" && $("stop").click());

const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.remove("dragging");
  speak(event.dataTransfer.files[0]);
});

// --- this browser's microphone

const own = { modes: ["open", "push_to_talk"], mode: "open", muted: false };
let talking = false;
let sending = false;

const ownControls = new MicrophoneControls("own-microphone", {
  onMode: (mode) => changeOwn({ mode }),
  onMuted: (muted) => changeOwn({ muted }),
  onTalk: (pressed) => {
    talking = pressed;
    changeOwn({});
  },
});

function changeOwn(change) {
  Object.assign(own, change);
  const wanted = microphone.on && !own.muted && (own.mode === "open" || talking);
  if (wanted && !sending) connection.send({ type: "microphone_start", sample_rate_hz: microphone.rateHz });
  if (!wanted && sending) connection.send({ type: "microphone_stop" });
  sending = wanted;
  $("microphone").setAttribute("aria-pressed", String(microphone.on));
  $("level").hidden = !sending;
  if (microphone.on) ownControls.show(own);
  else ownControls.hide();
}

async function startMicrophone() {
  try {
    await microphone.turnOn(({ samples, peak }) => {
      if (sending) connection.sendSamples(samples);
      $("level").value = peak;
    });
    note("The avatar speaks with your voice.");
  } catch (error) {
    await microphone.turnOff();
    note(error.message, "error");
  }
  changeOwn({});
}

function stopMicrophone() {
  if (!microphone.on) return;
  microphone.turnOff();
  changeOwn({});
  note("");
}

$("microphone").onclick = () => (microphone.on ? stopMicrophone() : startMicrophone());

// --- what the daemon offers besides

const daemonControls = new MicrophoneControls("daemon-microphone", {
  onMode: (mode) => ask({ type: "microphone_mode", mode }),
  onMuted: (muted) => ask({ type: "microphone_mute", muted }),
  onTalk: (pressed) => ask({ type: "microphone_talk", pressed }),
});
const expression = new Expression(
  (values) => connection.request({ type: "set_expression", values }),
  (text) => note(text, "error"),
);
const recording = new Recording(ask);

function showParts({ parts }) {
  showAvatars(parts.avatars.open, avatar.avatar_id, (id) => connection.choose(id));
  $("microphone-card").hidden = !parts.microphone;
  if (parts.microphone) {
    $("microphone-name").textContent = parts.microphone.name;
    daemonControls.show(parts.microphone);
  }
  recording.show(parts.recording);
}

// --- sound, state, background, endpoints

$("sound").onclick = async () => {
  const button = $("sound");
  try {
    await (sound.on ? sound.turnOff() : sound.turnOn());
  } catch {
    note("This browser cannot play sound here.", "error");
  }
  button.setAttribute("aria-pressed", String(sound.on));
  button.lastElementChild.textContent = sound.on ? "Mute" : "Turn sound on";
};

$("states").onchange = ({ target }) => ask({ type: "set_state", state: target.value });

function setBackground(value, chosen) {
  $("stage").dataset.background = value === "checker" ? "checker" : "colour";
  $("stage").style.backgroundColor = value === "checker" ? "" : value;
  $("colour").parentElement.classList.toggle("chosen", chosen);
  if (chosen) document.querySelectorAll("[name=background]").forEach((radio) => (radio.checked = false));
}
$("backgrounds").onchange = ({ target }) => target.name === "background" && setBackground(target.value, false);
$("colour").oninput = ({ target }) => setBackground(target.value, true);

function showEndpoints(endpoints) {
  $("endpoints").replaceChildren(
    ...Object.entries(endpoints).map(([name, address]) => {
      const item = document.createElement("li");
      const text = document.createElement("div");
      const label = document.createElement("span");
      const code = document.createElement("code");
      const copy = document.createElement("button");
      label.textContent = name;
      code.textContent = address;
      copy.type = "button";
      copy.textContent = "Copy";
      copy.setAttribute("aria-label", `Copy the address of ${name}`);
      copy.onclick = async () => {
        await navigator.clipboard.writeText(address);
        copy.textContent = "Copied";
        setTimeout(() => (copy.textContent = "Copy"), 1500);
      };
      text.append(label, code);
      item.append(text, copy);
      return item;
    }),
  );
}
