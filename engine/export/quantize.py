"""INT8: static QDQ for convolutions, dynamic for matrix products; other weights are stored as fp16."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

Feed = dict[str, npt.NDArray[np.generic]]


class Feeds(CalibrationDataReader):  # type: ignore[misc]
    """Gives the calibrator one example after the other."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next example, None after the last."""
        return next(self._feeds, None)


@contextmanager
def _prepared(source: Path) -> Iterator[Path]:
    """A graph made ready for the quantizer: constants folded, norms in their convolutions."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        yield prepared


def quantize_convolutions(
    source: Path, target: Path, feeds: Iterable[Feed], keep: tuple[str, ...] = ()
) -> None:
    """Static QDQ of all convolutions: int8 weights per channel, uint8 activations.

    Args:
        source: fp32 graph.
        target: where the INT8 graph goes.
        feeds: example inputs, as the running engine sees them.
        keep: names of nodes that stay in fp32 (outputs that a few levels would step visibly, as flows).
    """
    with _prepared(source) as prepared:
        convolutions = [n.name for n in onnx.load(str(prepared)).graph.node if n.op_type == "Conv"]
        quantize_static(
            str(prepared),
            str(target),
            Feeds(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=[n for n in convolutions if n not in keep],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def quantize_products(source: Path, target: Path, keep: tuple[str, ...] = ()) -> None:
    """Dynamic INT8 of all matrix products with constant weights, per channel, but for the nodes to keep.

    Weights have 7 bits: processors without VNNI add pairs of 8-bit products in 16 bits, which overflow.
    """
    with _prepared(source) as prepared:
        quantize_dynamic(
            str(prepared),
            str(target),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(keep),
            reduce_range=True,
        )


def halve_weights(path: Path) -> None:
    """Stores a graph's large fp32 weights as fp16, in place; the runtime makes fp32 of them as it loads.

    Computation stays fp32 and the file becomes half as large; weights lose what lies below 2^-11 of them.
    """
    model = onnx.load(str(path))
    graph, casts = model.graph, []
    for index, tensor in enumerate(graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 1024:
            continue
        name, stored = tensor.name, f"{tensor.name}_fp16"
        graph.initializer[index].CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    onnx.save(model, str(path))
