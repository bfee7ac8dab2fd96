"""Torch against fp32 ONNX against INT8: largest and mean difference of every graph's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from engine.export.graphs import GraphSpec


def differences(spec: GraphSpec, graph: Path) -> dict[str, float]:
    """Largest and mean absolute difference of a graph from its module, on the spec's example inputs.

    Outputs of uint8 count in levels (0..255).
    """
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    made = session.run(None, {k: v.numpy() for k, v in spec.inputs.items() if k in wanted})
    with torch.no_grad():
        truth = spec.module.eval()(*spec.inputs.values())
    truths = truth if isinstance(truth, tuple) else (truth,)
    errors = [np.abs(a.astype(np.float64) - b.numpy()) for a, b in zip(made, truths, strict=True)]
    return {"max": float(max(e.max() for e in errors)), "mean": float(np.mean([e.mean() for e in errors]))}
