// Only the avatar, for OBS and overlays: /view?avatar=ID, with &sound=1 its voice too. Comes back by itself.

import { Connection } from "./connection.js";
import { Picture } from "./picture.js";
import { Sound } from "./sound.js";

const wanted = new URLSearchParams(location.search);
const sound = new Sound();
const picture = new Picture(document.getElementById("view"), sound);

const connection = new Connection(
  "/watch",
  { avatar: wanted.get("avatar") ?? "", sound: wanted.get("sound") ?? "" },
  {
    onFrame: (frame) => picture.take(frame),
    onSound: (piece) => sound.play(piece),
    onMessage: ({ type, text }) => {
      if (type === "cancelled") sound.clear();
      if (type === "error") console.warn(text);
    },
    onLost() {
      picture.clear(); // a still face would look broken
      sound.clear();
    },
  },
);

if (connection.query.sound === "1") {
  const start = () => sound.on || sound.turnOn().catch((error) => console.warn(error.message));
  start();
  addEventListener("pointerdown", start); // outside OBS, browsers wait for a click
}
