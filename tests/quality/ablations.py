"""`python -m tests.quality.ablations TABLE...`: what each part of the method is good for.

Tables: `clips` (their length), `steps` (teacher and student), `long` (motion frames, noise on them, anchors),
`int8`, `discriminator` (two trainings of the student). Prints them in Markdown, then a line of JSON. Motion
comes from the held-out performances under --runs, lips from recordings (--speech, as `tests.quality.lips`
takes them) or the voice programs' held-out sentences; `long` needs none of these.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch

from engine.compose import Composer
from engine.decode import Decoder
from engine.errors import EngineError
from engine.pipeline import Engine
from engine.reader import FrameReader
from engine.runtime.manifest import REF_IMAGE_PX
from engine.runtime.session import Graphs, GraphSession
from engine.train.evaluate import ddim, few_steps
from engine.train.models.config import PRESETS
from tests.quality import motion
from tests.quality.life import BROWS, CALM, HEAD
from tests.quality.lips import read_folder, said
from tests.quality.lipsync import Score
from tests.quality.performing import aperture
from tests.quality.streams import (
    Make,
    Scene,
    Stream,
    Trained,
    Way,
    held_scenes,
    long_scene,
    of_network,
    of_pack,
    spoken_scenes,
    stream,
)
from tests.reliability.report import bounded

Row = dict[str, str]
Table = dict[str, Row]
SIZE_PX = 384
LOOKAHEAD_SAMPLES = 1320
"""Audio after a frame's own time that its window needs: 80 ms, to the end of the last mel frame."""
EAR = "mouth.net.2.bias"
"""Part of every denoiser that comes from the audio encoder's training and stays as it is."""
KINDS = ("fp32", "INT8")
Pair = tuple[str, str]
"""Kinds of denoiser and decoder."""
PAIRS: tuple[Pair, ...] = (("fp32", "fp32"), ("INT8", "fp32"), ("fp32", "INT8"), ("INT8", "INT8"))
PSNR_EVERY = 4
"""Of the frames of `int8`, one in so many is compared; lips are read off all."""
COST_FRAMES, COST_ROUNDS = 48, 15
BANDS_HZ = ((0.2, 2.0), (2.0, 6.0))


class Bench:
    """A pack, the held-out material as it hears it, and what every table measures.

    Attributes:
        faults: what makes a table worthless.
    """

    def __init__(self, engine: Engine, args: argparse.Namespace) -> None:
        self.engine, self.args = engine, args
        self.faults: list[str] = []

    @cached_property
    def spoken(self) -> list[Scene]:
        """The recordings, said by the pack's default avatar."""
        folder = self.args.speech
        recordings = list(said(self.args.voices) if folder is None else read_folder(folder))
        if not recordings:
            raise EngineError(f"{folder} holds no recordings")
        return list(spoken_scenes(self.engine, recordings))

    @cached_property
    def held(self) -> list[Scene]:
        """The held-out performances."""
        return list(held_scenes(self.engine, self.args.runs, self.args.limit))

    @cached_property
    def truth(self) -> list[motion.Float]:
        """Their controls."""
        return [scene.truth for scene in self.held if scene.truth is not None]

    def streams(self, way: Way, make: Make) -> tuple[list[Stream], list[Stream]]:
        """The held-out performances and the recordings, generated one way."""
        held, spoken = (
            [stream(self.engine, scene, way, make) for scene in part] for part in (self.held, self.spoken)
        )
        return held, spoken

    def lips(self, tracks: Sequence[Sequence[float]]) -> Row:
        """The lip-sync score of aperture tracks of the recordings."""
        score = Score()
        for scene, track in zip(self.spoken, tracks, strict=True):
            score.add(scene.phones, track, self.engine.manifest.fps)
        told = score.row()
        return {name: told[name] for name in ("closures found", "false closures", "openness")}

    def moves(self, runs: motion.Runs) -> Row:
        """How runs of controls move, beside the truth."""
        figures = {
            "head, spread": motion.spread(runs, HEAD) / motion.spread(self.truth, HEAD),
            "brows, spread": motion.spread(runs, BROWS) / motion.spread(self.truth, BROWS),
            "jitter": motion.jitter(runs, HEAD + BROWS) / motion.jitter(self.truth, HEAD + BROWS),
        }
        told = {name: f"{value:.2f}" for name, value in figures.items()}
        return {**told, "blinks a minute": f"{motion.blinks_per_min(runs):.1f}"}

    def row(self, held: Sequence[Stream], spoken: Sequence[Stream]) -> Row:
        """Lips and motion of what was generated."""
        lips = self.lips([aperture(made.controls).tolist() for made in spoken])
        return {**lips, **self.moves([made.controls for made in held])}

    def network(self, folder: Path) -> Trained:
        """A checkpoint's denoiser; a fault if it listens through another audio encoder than the pack's."""
        trained = Trained(folder, self.args.runs, PRESETS[self.engine.manifest.preset])
        wanted = trained.denoiser.state_dict()[EAR].numpy()
        graph = onnx.load(str(self.engine.manifest.graphs["denoiser"].path)).graph
        stored = [onnx.numpy_helper.to_array(t) for t in graph.initializer if list(t.dims) == [*wanted.shape]]
        if not any(np.abs(values.astype(float) - wanted).max() < 1e-2 for values in stored):
            self.faults.append(f"{folder} learned with another audio encoder than the pack's")
        return trained


def costs(bench: Bench, ways: Mapping[str, tuple[Way, Make]], unit: str) -> dict[str, str]:
    """Time in the denoiser, taken in turns so that all share the machine's moods, in that of `unit`."""
    scene = bench.held[0]
    part = replace(scene, audio_emb=scene.audio_emb[:COST_FRAMES], states=scene.states[:COST_FRAMES])
    rounds_ms = [
        [sum(stream(bench.engine, part, way, make).clip_ms) for way, make in ways.values()]
        for _ in range(COST_ROUNDS)
    ]
    median_ms = dict(zip(ways, np.median(rounds_ms, axis=0).tolist(), strict=True))
    return {name: f"{ms / median_ms[unit]:.2f}" for name, ms in median_ms.items()}


def clips(bench: Bench) -> Table:
    """Fixed clip lengths against the ladder."""
    own = bench.engine.manifest.clip_lengths
    ways = {**{str(n): (n,) for n in (1, 2, 4, 8, 16)}, ", ".join(map(str, own)): own}
    table: Table = {"truth": bench.moves(bench.truth)}
    measured: dict[str, tuple[Way, Make]] = {}
    for name, lengths in ways.items():
        way, make = Way(lengths), of_pack(bench.engine)
        try:
            held, spoken = bench.streams(way, make)
        except EngineError:
            table[name] = {"closures found": "not trained, the graph refuses it"}
            continue
        measured[name] = way, make
        ahead = LOOKAHEAD_SAMPLES / bench.engine.manifest.frame_samples
        waits = sorted({n - 1 + ahead for n in (lengths[0], lengths[-1])})
        frames = " to ".join(f"{wait:.1f}" for wait in waits)
        table[name] = {**bench.row(held, spoken), "audio awaited, frames": frames}
    for name, cost in costs(bench, measured, "8").items():
        table[name]["time, of length 8"] = cost
    return table


def steps(bench: Bench) -> Table:
    """The teacher's long sampling against the student's short one."""
    teacher = bench.network(bench.args.teacher)
    ways: dict[str, tuple[int, Make]] = {
        **{f"teacher, {n}": (n, of_network(teacher, ddim(n))) for n in (25, 2)},
        **{f"student, {n}": (n, of_pack(bench.engine, n)) for n in (4, 2, 1)},
    }
    table: Table = {"truth": bench.moves(bench.truth)}
    for name, (runs, make) in ways.items():
        held, spoken = bench.streams(Way(), make)
        table[name] = {**bench.row(held, spoken), "runs of the network, of 2": f"{runs / 2:g}"}
    own = {name: (Way(), make) for name, (_, make) in ways.items() if name.startswith("student")}
    for name, cost in costs(bench, own, "student, 2").items():
        table[name]["time, of 2 steps"] = cost
    return table


def long(bench: Bench) -> Table:
    """What carries a stream on for minutes, and what would hold it."""
    ways = {
        "as the engine": Way(),
        "no motion frames": Way(remembers=False),
        "noise 0.01 on them": Way(motion_noise=0.01),
        "noise 0.1": Way(motion_noise=0.1),
        "anchored every 250 frames": Way(reanchor_every_frames=250),
        "anchored every 25": Way(reanchor_every_frames=25),
    }
    engine, table = bench.engine, {}
    scene = long_scene(engine, bench.args.minutes)
    for name, way in ways.items():
        made = stream(engine, scene, way, of_pack(engine))
        run, quarter = made.controls, len(made.controls) // 4
        first, last = (motion.spread([part], HEAD) for part in (run[:quarter], run[-quarter:]))
        table[name] = {
            "jump at borders": f"{motion.border_jump(run, made.starts, CALM):.2f}",
            "drift of the mean pose, of its range": f"{motion.drift(run, HEAD) / 2.0:.1%}",
            "spread of the pose, first quarter": f"{first:.3f}",
            "last quarter": f"{last:.3f}",
            "jitter": f"{motion.jitter([run], HEAD + BROWS):.4f}",
            "blinks a minute": f"{motion.blinks_per_min([run]):.1f}",
        }
    return table


def in_float(source: Path, target: Path) -> None:
    """A graph's own INT8 weights with arithmetic in fp32: activations are not rounded any more."""
    model = onnx.load(str(source))
    one = onnx.numpy_helper.from_array(np.array(1.0, np.float32), "one")
    rounded = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    make, nodes = onnx.helper.make_node, []
    for node in model.graph.node:
        match node.op_type:
            case "DynamicQuantizeLinear":
                nodes += [make("Identity", [node.input[0]], [node.output[0]])]
                nodes += [make("Identity", ["one"], [node.output[1]])]
            case "MatMulInteger":  # its weights are symmetric: no zero point to take away
                weights = f"{node.output[0]}_weights"
                nodes += [make("Cast", [node.input[1]], [weights], to=onnx.TensorProto.FLOAT)]
                nodes += [make("MatMul", [node.input[0], weights], node.output)]
            case "DequantizeLinear" if node.input[0] in rounded:
                nodes += [make("Identity", [rounded[node.input[0]]], node.output)]
            case _:
                nodes += [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(one)
    onnx.save(model, str(target))


def fp32_session(engine: Engine, name: str, given: Path | None) -> GraphSession:
    """A graph without INT8: out of the folder given, else made of the pack's own."""
    spec = engine.manifest.graphs[name]

    def load(path: Path) -> GraphSession:
        return GraphSession(name, replace(spec, path=path), provider=engine.provider, threads=1)

    if given is not None and (given / f"{name}.onnx").exists():
        return load(given / f"{name}.onnx")
    with tempfile.TemporaryDirectory() as folder:
        in_float(spec.path, Path(folder) / f"{name}.onnx")
        return load(Path(folder) / f"{name}.onnx")


def file_mb(session: GraphSession) -> float:
    """Size of a graph's file; NaN of one that was made for the occasion."""
    path = session.spec.path
    return path.stat().st_size / 1e6 if path.exists() else float("nan")


def shown(
    bench: Bench, spoken: Mapping[str, Sequence[Stream]], graphs: Mapping[str, Mapping[str, GraphSession]]
) -> tuple[dict[Pair, list[list[float]]], dict[Pair, list[float]]]:
    """Apertures read off the pictures of every recording, and PSNR against fp32, by denoiser and decoder.

    `spoken` and `graphs` (of the patches, by name) go by kind.
    """
    engine, portrait = bench.engine, bench.engine.portrait()
    reader = FrameReader(engine.graphs["reader"], portrait, SIZE_PX)
    picture = portrait.ref_picture(REF_IMAGE_PX)
    decoders = {
        kind: Decoder(
            Graphs(engine.provider, {**engine.graphs.sessions, **graphs[kind]}),
            engine.manifest,
            portrait.banks,
            picture,
            Composer(portrait.ref_picture(SIZE_PX), 1.0),
        )
        for kind in KINDS
    }
    tracks: dict[Pair, list[list[float]]] = {pair: [] for pair in PAIRS}
    ratios_db: dict[Pair, list[float]] = {pair: [] for pair in PAIRS}
    for recording in range(len(bench.spoken)):
        latents = {kind: spoken[kind][recording].latents for kind in KINDS}
        for track in tracks.values():
            track.append([])
        for number in range(len(latents["fp32"])):
            pictures = {pair: decoders[pair[1]].decode(latents[pair[0]][number]) for pair in PAIRS}
            for pair, picture in pictures.items():
                tracks[pair][-1].append(reader.aperture(picture))
                if number % PSNR_EVERY == 0:
                    ratios_db[pair].append(motion.psnr_db(picture, pictures["fp32", "fp32"]))
    return tracks, ratios_db


def int8(bench: Bench) -> Table:
    """The graphs that are INT8, one by one, against fp32."""
    engine = bench.engine
    names = ("denoiser", *engine.manifest.patches)
    graphs = {
        "fp32": {name: fp32_session(engine, name, bench.args.fp32) for name in names},
        "INT8": {name: engine.graphs[name] for name in names},
    }
    made = {kind: bench.streams(Way(), of_pack(engine, session=graphs[kind]["denoiser"])) for kind in KINDS}
    tracks, ratios_db = shown(bench, {kind: made[kind][1] for kind in KINDS}, graphs)
    runs = {kind: [run.controls for part in made[kind] for run in part] for kind in KINDS}
    table: Table = {}
    for pair in PAIRS:
        denoiser, patches = pair
        apart = np.mean([np.abs(a - b).mean() for a, b in zip(runs[denoiser], runs["fp32"], strict=True)])
        drawn = sum(file_mb(graphs[patches][name]) for name in engine.manifest.patches)
        size_mb = file_mb(graphs[denoiser]["denoiser"]) + drawn
        middle_db, low_db = np.quantile(ratios_db[pair], (0.5, 0.05), method="lower")
        table[f"denoiser {denoiser}, patches {patches}"] = {
            "PSNR, median dB": f"{middle_db:.1f}",
            "one frame in twenty below": f"{low_db:.1f}",
            "controls apart, mean": f"{apart:.4f}",
            **bench.lips(tracks[pair]),
            **bench.moves([run.controls for run in made[denoiser][0]]),
            "the files, MB": "-" if math.isnan(size_mb) else f"{size_mb:.1f}",
        }
    return table


def discriminator(bench: Bench) -> Table:
    """Two trainings of the student from one teacher; the truth's halves show what chance does to spectra."""

    def apart(runs: motion.Runs, truth: motion.Runs) -> Row:
        return {
            f"head, {low:g} to {high:g} Hz, dB apart": (
                f"{motion.spectrum_apart_db(runs, truth, HEAD, low, high):.2f}"
            )
            for low, high in BANDS_HZ
        }

    table: Table = {
        "truth, half against half": {
            **bench.moves(bench.truth),
            **apart(bench.truth[::2], bench.truth[1::2]),
        }
    }
    for name, folder in zip(("with", "without"), bench.args.students, strict=True):
        held, spoken = bench.streams(Way(), of_network(bench.network(folder), few_steps(2)))
        table[name] = {**bench.row(held, spoken), **apart([run.controls for run in held], bench.truth)}
    return table


TABLES: Mapping[str, Callable[[Bench], Table]] = {
    "clips": clips,
    "steps": steps,
    "long": long,
    "int8": int8,
    "discriminator": discriminator,
}


def markdown(table: Table) -> str:
    """A table with a column for each figure that any row has."""
    fullest_first = sorted(table.values(), key=len, reverse=True)
    columns = list(dict.fromkeys(column for row in fullest_first for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table.items():
        lines.append(f"| {name} | " + " | ".join(row.get(column, "-") for column in columns) + " |")
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.quality.ablations", description=__doc__)
    parser.add_argument("tables", nargs="+", choices=TABLES, metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--pack", default="nano")
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="recordings and phones")
    parser.add_argument("--voices", type=bounded(int, 1, 20), default=4, help="without --speech (4)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the training's folder (runs)")
    parser.add_argument("--limit", type=bounded(int, 2, 1000), default=24, help="held-out runs (24)")
    parser.add_argument("--minutes", type=bounded(float, 0.1, 600), default=10.0, help="`long`: to live (10)")
    parser.add_argument(
        "--teacher", type=Path, help="`steps`: folder of its checkpoint (diffusion under --runs)"
    )
    parser.add_argument(
        "--fp32", type=Path, metavar="FOLDER", help="`int8`: exact graphs; else the pack's own"
    )
    parser.add_argument(
        "--students", type=Path, nargs=2, metavar=("WITH", "WITHOUT"), help="`discriminator`: checkpoints"
    )
    args = parser.parse_args()
    args.teacher = args.teacher or args.runs / "diffusion"
    if "discriminator" in args.tables and args.students is None:
        parser.error("discriminator: name two trainings with --students WITH WITHOUT")
    return args


def main() -> int:
    """Prints the tables asked for."""
    args = _arguments()
    torch.set_num_threads(1)
    try:
        with Engine(args.pack, threads=1) as engine:
            bench, result = Bench(engine, args), {}
            for name in args.tables:
                result[name] = TABLES[name](bench)
                print(f"{name}\n\n{markdown(result[name])}\n", flush=True)
    except (FileNotFoundError, EngineError) as error:
        print(f"tests.quality.ablations: {error}", file=sys.stderr)
        return 2
    print(json.dumps({**result, "faults": bench.faults}))
    return int(bool(bench.faults))


if __name__ == "__main__":
    sys.exit(main())
