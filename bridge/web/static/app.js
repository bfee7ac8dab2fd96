// The page: draws the avatar in step with its sound and turns clicks, files and the microphone into commands.

import { Connection } from "./connection.js";
import { Microphone, Sound } from "./sound.js";

const SAMPLES_PER_MS = 16;
const LONGEST_WAIT_MS = 400; // a picture waits for its sound no longer than this
const STATE_NAMES = { speaking: "Speaking", listening: "Listening", idle: "Idle" };

const $ = (id) => document.getElementById(id);
const canvas = $("view");
const pen = canvas.getContext("2d");
const sound = new Sound();
const microphone = new Microphone();

let waiting = []; // frames not drawn yet, oldest first
let drawnTimes = []; // of the last second, ms
let pageDelayMs = 0; // from a picture's arrival to its drawing, smoothed
let statistics = null;
let maxUploadBytes = Infinity;

const connection = new Connection({
  onSession(session) {
    $("avatar-name").textContent = session.avatar;
    document.title = `LLIA · ${session.avatar}`;
    maxUploadBytes = session.max_upload_bytes;
    showEndpoints(session.endpoints);
    $("fps-box").title = `Pictures drawn in the last second; the avatar makes ${session.fps}, on ${session.provider}`;
  },
  onFrame(frame) {
    frame.arrived = performance.now();
    if (waiting.length && frame.epoch !== waiting.at(-1).epoch) waiting = []; // a barge-in: the rest is void
    waiting.push(frame);
    if (document.hidden) drawDue(); // no animation frames come to a hidden page
  },
  onSound(piece) {
    sound.play(piece);
  },
  onMessage(message) {
    handlers[message.type]?.(message);
  },
  onLost() {
    $("lost").hidden = false;
    $("state").dataset.state = "";
    $("state").lastChild.textContent = "Not connected";
    waiting = [];
    statistics = null;
    sound.clear();
    stopMicrophone();
  },
});

const handlers = {
  welcome({ state }) {
    $("lost").hidden = true;
    showState(state);
    const chosen = document.querySelector("[name=state]:checked").value;
    if (chosen !== "auto") connection.send({ type: "set_state", state: chosen }); // after a lost connection
  },
  state: ({ state }) => showState(state),
  statistics: (message) => (statistics = message),
  cancelled: () => sound.clear(),
  finished: ({ utterance_id: id }) => id.startsWith("page-file-") && note(""),
  error: ({ text }) => note(text, "error"),
};

// --- the picture

function drawDue() {
  if (!waiting.length) return;
  const now = performance.now();
  const heard = sound.on ? sound.heardNow() : null;
  let due = -1;
  waiting.forEach((frame, index) => {
    if (heard === null || frame.pts <= heard + 8 * SAMPLES_PER_MS || now - frame.arrived > LONGEST_WAIT_MS) due = index;
  });
  if (due < 0) return;
  const frame = waiting[due];
  waiting.splice(0, due + 1);
  if (canvas.width !== frame.image.width) {
    canvas.width = frame.image.width;
    canvas.height = frame.image.height;
  }
  pen.putImageData(frame.image, 0, 0);
  pageDelayMs += (now - frame.arrived - pageDelayMs) / 8;
  drawnTimes.push(now);
}

function loop() {
  drawDue();
  requestAnimationFrame(loop);
}
requestAnimationFrame(loop);

setInterval(() => {
  const now = performance.now();
  drawnTimes = drawnTimes.filter((time) => now - time < 1000);
  $("fps").textContent = connection.connected ? drawnTimes.length : "–";
  if (!statistics) {
    $("latency").textContent = "–";
    return;
  }
  const { lead_ms: lead, transport_ms: transport, first_frame_ms: first } = statistics;
  $("latency").textContent = `${Math.round(lead + transport + pageDelayMs)} ms`;
  $("latency-box").title =
    `From a sound's arrival to its picture here: daemon ${Math.round(lead)} ms, ` +
    `transport ${Math.round(transport)} ms, this page ${Math.round(pageDelayMs)} ms` +
    (first >= 0 ? `; first frame of the last speech ${Math.round(first)} ms` : "");
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

async function startMicrophone() {
  try {
    await microphone.turnOn(
      (rate) => connection.send({ type: "microphone_start", sample_rate_hz: rate }),
      ({ samples, peak }) => {
        connection.sendSamples(samples);
        $("level").value = peak;
      },
    );
    $("microphone").setAttribute("aria-pressed", "true");
    $("level").hidden = false;
    note("The avatar speaks with your voice.");
  } catch (error) {
    await microphone.turnOff();
    note(error.message, "error");
  }
}

function stopMicrophone() {
  if (!microphone.on) return;
  microphone.turnOff();
  connection.send({ type: "microphone_stop" });
  $("microphone").setAttribute("aria-pressed", "false");
  $("level").hidden = true;
  note("");
}

function stopSpeaking() {
  connection.send({ type: "cancel" });
  stopMicrophone();
  note("");
}

$("microphone").onclick = () => (microphone.on ? stopMicrophone() : startMicrophone());
$("stop").onclick = stopSpeaking;
$("choose").onclick = () => $("file").click();
$("file").onchange = ({ target }) => {
  speak(target.files[0]);
  target.value = "";
};
addEventListener("keydown", (event) => event.key === "Escape" && stopSpeaking());

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

$("states").onchange = ({ target }) => connection.send({ type: "set_state", state: target.value });

function setBackground(value, own) {
  $("stage").dataset.background = value === "checker" ? "checker" : "colour";
  $("stage").style.backgroundColor = value === "checker" ? "" : value;
  $("colour").parentElement.classList.toggle("chosen", own);
  if (own) document.querySelectorAll("[name=background]").forEach((radio) => (radio.checked = false));
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
