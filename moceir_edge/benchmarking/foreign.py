"""What others' tools make of the straightforward graph at their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from sys import stderr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moceir_edge.errors import MissingBackendError
from moceir_edge.program.program import IMAGE
from moceir_edge.targets.openvino_library import load_library
from moceir_edge.targets.quantize import load_nncf, quiet_nncf

Crops = Sequence[NDArray[np.float32]]
"""(1, 3, H, W) float32 in [0, 1]."""


class ForeignError(Exception):
    """Another tool failed at a variant; the benchmark goes on without it."""


@contextmanager
def foreign_tool(name: str) -> Iterator[None]:
    """Whatever another tool raises becomes ForeignError with its first line; what it prints goes to stderr."""
    try:
        with redirect_stdout(stderr):
            yield
    except MissingBackendError:
        raise
    except Exception as error:  # others' tools raise anything
        lines = str(error).strip().splitlines() or [""]
        raise ForeignError(f"{name} failed: {type(error).__name__}: {lines[0][:200]}") from error


def quantize_onnx(graph: Path, crops: Crops, path: Path) -> None:
    """NNCF's default post-training quantization of an ONNX graph."""
    import onnx

    with foreign_tool("NNCF"):
        onnx.save(_quantized(onnx.load(graph), [{IMAGE: crop} for crop in crops]), path)


def quantize_openvino(graph: Path, crops: Crops, path: Path) -> None:
    """NNCF's default post-training quantization of the graph as an OpenVINO model (.xml, .bin)."""
    library = load_library()
    with foreign_tool("NNCF"):
        library.save_model(_quantized(library.Core().read_model(graph), list(crops)), path, compress_to_fp16=False)


def _quantized(model: Any, calibration: list[Any]) -> Any:
    nncf = load_nncf()
    with quiet_nncf():
        return nncf.quantize(model, nncf.Dataset(calibration), subset_size=len(calibration))
