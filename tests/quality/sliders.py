"""`python -m tests.quality.sliders [--sheet SHEET.webp]`: do the expression's sliders and presets show?

Each control is set by itself, to a half and to its ends, for every built-in avatar, idle and speaking;
presets likewise. The reader measures the pictures made, and those that the studio draws for the same
controls: what it sees less in the former is the decoder's fault, what it sees less in both its own. How the
expression comes is measured as well, and whether lips still follow the voice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont

from bridge.expressions import PRESETS
from engine.expression import REST_CONTROLS, SIGNED_CONTROLS
from engine.pipeline import Engine
from engine.reader import FrameReader
from engine.train.data.studio import FULL, Studio, default_identities
from engine.types import CONTROL_NAMES, SAMPLE_RATE_HZ, AudioChunk, AvatarState
from tests.quality.performing import aperture, controls_of, greeting
from tests.reliability.report import tell

Float = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
FPS = 25
STEP = SAMPLE_RATE_HZ // FPS
SIZE_PX = 384
DRAWN_PX = 192
"""What the reader looks at."""
BLEND_FRAMES = 5
"""200 ms."""
IDLE_FRAMES, SPOKEN_FRAMES = 16, 60
IDLE_LOOKED_AT = slice(BLEND_FRAMES + 1, None, 3)
SPOKEN_LOOKED_AT = slice(BLEND_FRAMES + 1, None, 5)
LEAST_ASKED = 0.1
"""Less than that is no change to look for: lips that are shut already, say."""
LEAST_SEEN = 0.25
"""Share of what is asked that must be seen, for the avatar that shows it least (our choice)."""
MOST_LEAK = 0.35
"""Of another control's range, beyond what the reader sees in the studio's picture (our choice)."""
LEAST_LIPS_R, LEAST_LIPS_SEEN_R = 0.9, 0.8
"""Of the controls' aperture, and of that seen: in a turned head the reader measures it less well."""
LIPS_HELD = frozenset({"jawOpen", "mouthClose"})
"""Those two say themselves how far the mouth opens."""
STEEPEST = 0.4
"""Of the whole change, between two frames: the blend's own steepest is 0.3."""
CHANGE_AT, CHANGE_FRAMES, AHEAD_FRAMES = 25, 50, 4
"""When the expression is set in the middle of speech, of how many frames; sound comes so far ahead."""
CELL_PX, LINE_PX, COLUMNS = 104, 15, 4
CLOSE_UP = (68, 108, 316, 356)
"""What of the picture the sheet shows."""


def cases() -> dict[str, dict[str, float]]:
    """All that is measured: expression by what it is called."""
    made = {}
    for name in CONTROL_NAMES:
        for value in (0.5, 1.0, -1.0) if name in SIGNED_CONTROLS else (0.5, 1.0):
            made[f"{name} {value:g}"] = {name: value}
    return made | {name: dict(controls) for name, controls in PRESETS.items() if controls}


def act(
    engine: Engine, who: str, samples: Float, state: AvatarState, expression: Mapping[str, float]
) -> Float:
    """Controls [n, 21] of a performance that bears an expression from its first frame on."""
    with engine.avatar(who, size_px=SIZE_PX, seed=1, lead_ms=None, expression=expression) as avatar:
        avatar.watched = False
        avatar.set_state(state)
        avatar.push_audio(AudioChunk(samples, 0, "" if state == AvatarState.IDLE else "sliders"))
        avatar.finish()
        return controls_of(avatar.frames())


def jump(engine: Engine, who: str, expression: Mapping[str, float]) -> float:
    """The greatest step of a control named, when it is set amid live speech.

    Beyond the greatest of the rest of the speech, of what is set.
    """
    own = [CONTROL_NAMES.index(name) for name in expression]
    speech, controls = np.resize(greeting(), (CHANGE_FRAMES + AHEAD_FRAMES) * STEP), []
    with engine.avatar(who, size_px=256, seed=1, lead_ms=0) as avatar:
        avatar.watched = False
        avatar.set_state(AvatarState.SPEAKING)
        avatar.push_audio(AudioChunk(speech[: AHEAD_FRAMES * STEP], 0, "sliders"))
        frames = avatar.frames()
        for number in range(CHANGE_FRAMES):
            if number == CHANGE_AT:
                avatar.set_expression(expression)
            start = (number + AHEAD_FRAMES) * STEP
            avatar.push_audio(AudioChunk(speech[start : start + STEP], start, "sliders"))
            controls.append(next(frames).controls[own])
    steps = np.abs(np.diff(controls, axis=0))
    near = slice(CHANGE_AT - 1, CHANGE_AT + AHEAD_FRAMES + BLEND_FRAMES + 1)
    elsewhere = np.delete(steps, near, axis=0).max(axis=0)
    return float(((steps[near].max(axis=0) - elsewhere) / np.abs(list(expression.values()))).max())


class Face:
    """An avatar, as the engine makes it and as the studio draws it."""

    def __init__(self, engine: Engine, who: str) -> None:
        """Prepares a built-in avatar."""
        portrait, manifest = engine.portrait(who), engine.manifest
        self._decoder = engine.decoder(portrait, SIZE_PX)
        self._reader = FrameReader(engine.graphs["reader"], portrait, SIZE_PX)
        self._mean = np.array(manifest.control_mean, np.float32)
        self._std = np.array(manifest.control_std, np.float32)
        self._shape = manifest.latent_shape
        self._studio = Studio([default_identities()[who]])

    def made(self, controls: Float) -> Bytes:
        """Pictures [n, 384, 384, 4] that the engine makes of controls [n, 21]."""
        latents = ((controls - self._mean) / self._std).reshape(-1, *self._shape)
        return np.stack([self._decoder.decode(latent) for latent in latents])

    def drawn(self, controls: Float) -> Bytes:
        """The same as the studio draws them, [n, 192, 192, 4]."""
        nobody_else = torch.zeros(len(controls), dtype=torch.long)
        image = self._studio.render(nobody_else, torch.from_numpy(controls), FULL(DRAWN_PX))
        straight = torch.cat([image[:, :3] / image[:, 3:].clamp(min=1e-3), image[:, 3:]], dim=1)
        levels: Bytes = (straight.clamp(0, 1) * 255.0 + 0.5).byte().permute(0, 2, 3, 1).numpy()
        return levels

    def read(self, pictures: Bytes) -> Float:
        """What the reader measures: [n, 22]."""
        return self._reader.read(pictures)


@dataclass(frozen=True)
class Shown:
    """A face with an expression, against the same moments without it.

    Attributes:
        asked: float32 [21], by how much the frames' controls differ.
        seen: the same, measured in the pictures.
        drawn: the same, measured in the studio's pictures.
        track: float32 [n, 21], the difference of the controls from the first frame on.
        spoken: `asked` and `seen` while speaking, [2, 21].
        lips_r: correlation of the aperture while speaking with that without the expression, by the controls.
        lips_seen_r: the same, measured in the pictures.
        picture: of the idle face.
    """

    asked: Float
    seen: Float
    drawn: Float
    track: Float
    spoken: Float
    lips_r: float
    lips_seen_r: float
    picture: Bytes


class Still:
    """One avatar's performances without an expression, to compare others with."""

    def __init__(self, engine: Engine, who: str) -> None:
        """Performs both."""
        self._engine, self._who, self._face = engine, who, Face(engine, who)
        self._silence = np.zeros(IDLE_FRAMES * STEP, np.float32)
        self._speech = greeting()[: SPOKEN_FRAMES * STEP]
        self._idle, self._spoken = self._perform({})
        self._pictures = self._face.made(self._idle[IDLE_LOOKED_AT])
        self._seen = self._face.read(self._pictures)
        self._drawn = self._face.read(self._face.drawn(self._idle[IDLE_LOOKED_AT]))
        self._spoken_seen = self._face.read(self._face.made(self._spoken[SPOKEN_LOOKED_AT]))

    @property
    def picture(self) -> Bytes:
        """Of the idle face."""
        first: Bytes = self._pictures[0]
        return first

    def _perform(self, expression: Mapping[str, float]) -> tuple[Float, Float]:
        idle = act(self._engine, self._who, self._silence, AvatarState.IDLE, expression)
        return idle, act(self._engine, self._who, self._speech, AvatarState.SPEAKING, expression)

    def with_expression(self, expression: Mapping[str, float]) -> Shown:
        """The same two performances with an expression."""
        idle, spoken = self._perform(expression)
        face, count = self._face, len(CONTROL_NAMES)
        pictures = face.made(idle[IDLE_LOOKED_AT])
        seen = (face.read(pictures) - self._seen).mean(axis=0)[:count]
        drawn = (face.read(face.drawn(idle[IDLE_LOOKED_AT])) - self._drawn).mean(axis=0)[:count]
        read = face.read(face.made(spoken[SPOKEN_LOOKED_AT]))
        spoken_asked = (spoken - self._spoken)[SPOKEN_LOOKED_AT].mean(axis=0)
        spoken_seen = (read - self._spoken_seen).mean(axis=0)[:count]
        return Shown(
            asked=(idle - self._idle)[IDLE_LOOKED_AT].mean(axis=0),
            seen=seen,
            drawn=drawn,
            track=idle - self._idle,
            spoken=np.stack([spoken_asked, spoken_seen]),
            lips_r=correlation(*(aperture(c[BLEND_FRAMES + 1 :]) for c in (spoken, self._spoken))),
            lips_seen_r=correlation(read[:, -1], self._spoken_seen[:, -1]),
            picture=pictures[0],
        )


def correlation(a: Float, b: Float) -> float:
    """Of two tracks; 0 where one of them stands still."""
    if a.std() < 1e-3 or b.std() < 1e-3:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def blend_ms(track: Float) -> int:
    """When a difference [n] of controls stays within a twentieth of what it comes to."""
    share = track / track[BLEND_FRAMES + 1 : BLEND_FRAMES + 4].mean()
    away = np.flatnonzero(np.abs(share[: BLEND_FRAMES + 4] - 1.0) > 0.05)
    return 1000 // FPS * (int(away[-1]) + 1 if len(away) else 0)


def steepest(track: Float) -> float:
    """Greatest change of a track [n] between two frames of the blend, of the whole change."""
    whole = abs(track[BLEND_FRAMES + 1 : BLEND_FRAMES + 4].mean())
    return float(np.abs(np.diff(track[: BLEND_FRAMES + 2], prepend=0.0)).max() / whole)


def shares(asked: Float, seen: Float, controls: list[int]) -> list[float | None]:
    """What is seen of what is asked, by control; None where next to nothing is asked."""
    return [round(float(seen[i] / asked[i]), 2) if abs(asked[i]) >= LEAST_ASKED else None for i in controls]


def summary(expression: Mapping[str, float], faces: Mapping[str, Shown]) -> dict[str, object]:
    """The figures of one case: of all avatars, in their order, or the worst of them."""
    own = [CONTROL_NAMES.index(name) for name in expression]
    others = np.array([i not in own for i in range(len(CONTROL_NAMES))])
    worst = max(faces.values(), key=lambda shown: np.abs((shown.seen - shown.drawn)[others]).max())
    leaks = np.abs(worst.seen - worst.drawn) * others
    row: dict[str, object] = {
        "seen": [shares(shown.asked, shown.seen, own) for shown in faces.values()],
        "seen in the studio's": [shares(shown.asked, shown.drawn, own) for shown in faces.values()],
        "seen speaking": [shares(shown.spoken[0], shown.spoken[1], own) for shown in faces.values()],
        "leak": [CONTROL_NAMES[int(leaks.argmax())], round(float(leaks.max()), 2)],
        "lips r": round(min(shown.lips_r for shown in faces.values()), 3),
        "lips seen r": round(min(shown.lips_seen_r for shown in faces.values()), 3),
    }
    name, value = next(iter(expression.items()))
    # A control that meets its range's end sooner than the blend does tells nothing of it.
    least = LEAST_ASKED if name in REST_CONTROLS else max(LEAST_ASKED, 0.8 * abs(value))
    whole = name in REST_CONTROLS or abs(value) < 1.0
    tracks = [f.track[:, own[0]] for f in faces.values() if whole and abs(f.asked[own[0]]) >= least]
    if tracks:
        row["blend ms"] = [blend_ms(track) for track in tracks]
        row["steepest"] = round(max(steepest(track) for track in tracks), 2)
    return row


def faults_of(label: str, expression: Mapping[str, float], row: Mapping[str, object]) -> list[str]:
    """What is wrong with one case, a line each."""
    faults, moving = [], LIPS_HELD.isdisjoint(expression)
    drawn = _by_control(row, "seen in the studio's")
    for key in ("seen", "seen speaking"):
        for name, values, true in zip(expression, _by_control(row, key), drawn, strict=True):
            if values and min(values) < LEAST_SEEN:
                where = f"(in the studio's pictures {min(true):.2f})" if true else ""
                faults.append(f"{label}: of {name} only {min(values):.2f} is {key} {where}".rstrip())
    return faults + [
        f"{label}: {wrong}"
        for wrong, is_so in {
            f"{row['leak']} is seen as well": _number(row, "leak") > MOST_LEAK,
            f"lips follow the voice by {row['lips r']}": moving and _number(row, "lips r") < LEAST_LIPS_R,
            f"lips are seen to follow the voice by {row['lips seen r']}": moving
            and _number(row, "lips seen r") < LEAST_LIPS_SEEN_R,
            f"blended over {row.get('blend ms')} ms": _blend_is_wrong(row),
            f"a step of {row.get('steepest')} of the whole": _number(row, "steepest") > STEEPEST,
            f"set amid speech it jumps by {row['jump']}": _number(row, "jump") > STEEPEST,
        }.items()
        if is_so
    ]


def _by_control(row: Mapping[str, object], key: str) -> list[list[float]]:
    """Of each control named, the shares of the avatars that were asked for it."""
    by_avatar = row[key]
    assert isinstance(by_avatar, list)
    return [[v for v in values if v is not None] for values in zip(*by_avatar, strict=True)]


def _number(row: Mapping[str, object], key: str) -> float:
    value = row.get(key, 0.0)
    return float(value[-1] if isinstance(value, list) else str(value))


def _blend_is_wrong(row: Mapping[str, object]) -> bool:
    times = row.get("blend ms", [])
    assert isinstance(times, list)
    frame_ms = 1000 // FPS
    return any(abs(time - BLEND_FRAMES * frame_ms) > frame_ms for time in times)


def draw_sheet(path: Path, rows: Mapping[str, list[Bytes]]) -> None:
    """Writes all faces of every case beside each other, with its name."""
    avatars = len(next(iter(rows.values())))
    width, height = CELL_PX * avatars + 6, CELL_PX + LINE_PX
    lines = -(-len(rows) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width - 6, lines * height), "#d8dde6")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for index, (label, pictures) in enumerate(rows.items()):
        left, top = index // lines * width, index % lines * height
        pen.text((left + 3, top + 1), label, "#1c2430", font=font)
        for number, picture in enumerate(pictures):
            face = Image.fromarray(picture).crop(CLOSE_UP)
            face = face.resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS)
            sheet.paste(face, (left + number * CELL_PX, top + LINE_PX), face)
    sheet.save(path, quality=72)


def measure(
    engine: Engine, avatars: list[str], wanted: Mapping[str, dict[str, float]], sheet: Path | None
) -> tuple[dict[str, object], list[str]]:
    """The figures and the faults."""
    still = {who: Still(engine, who) for who in avatars}
    result: dict[str, object] = {"avatars": avatars}
    faults: list[str] = []
    pictures = {"as the picture is": [s.picture for s in still.values()]}
    for label, expression in wanted.items():
        faces = {who: still[who].with_expression(expression) for who in avatars}
        row = summary(expression, faces) | {"jump": round(jump(engine, avatars[0], expression), 2)}
        result[label] = row
        faults += faults_of(label, expression, row)
        if len(expression) > 1 or abs(next(iter(expression.values()))) == 1.0:
            pictures[label] = [shown.picture for shown in faces.values()]
    if sheet is not None:
        draw_sheet(sheet, pictures)
    return result, faults


def main() -> int:
    """Measures and tells."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.sliders", description=__doc__)
    parser.add_argument("--sheet", type=Path, help="where the pictures go")
    parser.add_argument("--pack", default="nano")
    parser.add_argument("--avatars", nargs="+", choices=sorted(default_identities()), help="(all)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="controls and presets (all)")
    args = parser.parse_args()
    wanted = {k: v for k, v in cases().items() if not args.only or k.split()[0] in args.only}
    if not wanted:
        parser.error(f"--only {' '.join(args.only)}: there are {', '.join((*CONTROL_NAMES, *PRESETS))}")
    with Engine(args.pack, threads=1) as engine:
        avatars = args.avatars or [w for w in sorted(engine.manifest.avatars) if w in default_identities()]
        return tell(*measure(engine, avatars, wanted, args.sheet))


if __name__ == "__main__":
    sys.exit(main())
