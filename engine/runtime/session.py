"""Runs a pack's graphs with onnxruntime: provider choice, threads, and a check of every name and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.errors import ConfigError, EngineError, ModelError
from engine.runtime.manifest import GraphSpec, Manifest, TensorSpec
from engine.runtime.threads import compute_threads

Array = npt.NDArray[Any]

PROVIDERS: dict[str, str] = {
    "TensorRT": "TensorrtExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "OpenVINO": "OpenVINOExecutionProvider",
    "CPU": "CPUExecutionProvider",
}
"""Names as the user says them, best first, and onnxruntime's own."""

_ORT_TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}


def provider_candidates(wanted: str) -> list[str]:
    """Providers to try, best first.

    Args:
        wanted: "auto" or one of `PROVIDERS`, in any case.

    Raises:
        ConfigError: the name is unknown, or this onnxruntime lacks the provider asked for.
    """
    here = [name for name, ort_name in PROVIDERS.items() if ort_name in ort.get_available_providers()]
    if wanted.lower() == "auto":
        return here
    named = [name for name in PROVIDERS if name.lower() == wanted.lower()]
    if not named:
        raise ConfigError(f"provider {wanted!r} is unknown; choose one of auto, {', '.join(PROVIDERS)}")
    if named[0] not in here:
        raise ConfigError(f"provider {named[0]} is not in this onnxruntime, which has {', '.join(here)}")
    return named


ONCE_PER_PICTURE = ("reference", "face_locator", "expression")
"""Graphs that nothing else runs beside: they get all threads, the others one, and run beside each other."""


def _chain(provider: str) -> list[str | tuple[str, dict[str, Any]]]:
    """The provider and those that take over what it cannot run."""
    chain: list[str | tuple[str, dict[str, Any]]] = [PROVIDERS[provider]]
    if provider == "TensorRT":
        # Building its engines takes minutes: they are kept between runs.
        cache = Path.home() / ".cache" / "llia" / "tensorrt"
        options = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache)}
        chain = [(PROVIDERS[provider], options)]
        if PROVIDERS["CUDA"] in ort.get_available_providers():
            chain.append(PROVIDERS["CUDA"])
    return chain if provider == "CPU" else [*chain, PROVIDERS["CPU"]]


class GraphSession:
    """One graph, ready to run; names and shapes are those of its manifest."""

    def __init__(self, name: str, spec: GraphSpec, *, provider: str, threads: int) -> None:
        """Loads the graph.

        Args:
            name: the graph's name in the manifest.
            spec: the manifest's entry.
            provider: one of `PROVIDERS`.
            threads: intra-op threads.

        Raises:
            ModelError: the file is no graph, does not fit its manifest, or the provider does not start.
        """
        self.name, self.spec = name, spec
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # A spinning pool would take the core that another session needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(str(spec.path), options, providers=_chain(provider))
        except Exception as error:  # onnxruntime's exceptions share no base of their own
            reason = str(error).splitlines()[0]
            raise ModelError(f"graph '{name}' ({spec.path}) does not load on {provider}: {reason}") from error
        if self._session.get_providers()[0] != PROVIDERS[provider]:
            raise ModelError(
                f"provider {provider} does not start on this machine; choose CPU or check its driver"
            )
        self._check("input", spec.inputs, self._session.get_inputs())
        self._check("output", spec.outputs, self._session.get_outputs())

    def _check(self, kind: str, wanted: Mapping[str, TensorSpec], nodes: list[Any]) -> None:
        given = {node.name: node for node in nodes}
        if set(given) != set(wanted):
            raise ModelError(
                f"graph '{self.name}' has {kind}s {sorted(given)}, its manifest says {sorted(wanted)}"
            )
        for tensor, spec in wanted.items():
            dtype, shape = _ORT_TYPES.get(given[tensor].type, given[tensor].type), given[tensor].shape
            fits = len(shape) == len(spec.shape) and all(
                isinstance(have, int) == isinstance(want, int) and (isinstance(want, str) or have == want)
                for have, want in zip(shape, spec.shape, strict=True)
            )
            if dtype != spec.dtype or not fits:
                raise ModelError(
                    f"graph '{self.name}': {kind} '{tensor}' is {dtype} {shape}, its manifest says {spec}"
                )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the graph; further entries of `feeds` (banks that this graph does not use) are ignored.

        Returns:
            Its outputs by name.

        Raises:
            EngineError: onnxruntime refused an input or failed.
        """
        try:
            outputs = self._session.run(None, {name: feeds[name] for name in self.spec.inputs})
        except Exception as error:  # as above
            raise EngineError(f"graph '{self.name}' failed: {str(error).splitlines()[0]}") from error
        return dict(zip((node.name for node in self._session.get_outputs()), outputs, strict=True))

    def warm_up(self, **letters: int) -> None:
        """Runs the graph once on zeros, so that the first real run finds its memory and kernels ready.

        Args:
            letters: a size for each free letter, as `F=1, S=384`.
        """
        self.run(
            {
                name: np.zeros([letters[d] if isinstance(d, str) else d for d in spec.shape], spec.dtype)
                for name, spec in self.spec.inputs.items()
            }
        )


@dataclass(frozen=True)
class Graphs:
    """All sessions of a pack and the provider that runs them."""

    provider: str
    sessions: Mapping[str, GraphSession]

    def __getitem__(self, name: str) -> GraphSession:
        return self.sessions[name]


def load_graphs(manifest: Manifest, *, provider: str = "auto", threads: int | None = None) -> Graphs:
    """Loads every graph of a pack with the best provider that starts.

    Raises:
        ConfigError: the provider asked for is unknown or absent.
        ModelError: a graph does not load or does not fit its manifest.
    """
    candidates = provider_candidates(provider)
    for index, candidate in enumerate(candidates):
        try:
            sessions = {
                name: GraphSession(
                    name,
                    spec,
                    provider=candidate,
                    threads=compute_threads(threads) if name in ONCE_PER_PICTURE else 1,
                )
                for name, spec in manifest.graphs.items()
            }
        except ModelError:
            # A wheel lists providers whose driver this machine may lack: the next best one is tried.
            if index + 1 == len(candidates):
                raise
            continue
        return Graphs(candidate, sessions)
    raise ConfigError("this onnxruntime offers no provider the engine knows; reinstall onnxruntime")
