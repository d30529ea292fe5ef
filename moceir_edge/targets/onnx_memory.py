"""How much memory a runtime takes for an ONNX file, measured in fresh processes that load nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from moceir_edge.memory import MEGAPIXEL, Memory
from moceir_edge.targets import memory_probe

SIZES = ((256, 256), (512, 512))
"""Heights and widths of an open size: far enough apart for what the runtime reserves ahead to matter little."""

TRIES = 2
"""Processes for each size, of which the largest peak counts: a system that is short of memory takes pages back,
and a peak that is too low (293 instead of 352 MiB, once in three) would promise too much."""

STEP_MIB = 10.0
"""Numbers are rounded up to this: runs differ by a few MiB."""

_PATIENCE_S = 600


def onnx_memory(model: Path, size: tuple[int, int] | None, *, openvino: str | None = None) -> Memory | str:
    """Memory of an ONNX file on the CPU, or why it could not be measured.

    size: the fixed (height, width), if any. openvino: measure that runtime, with floats of this name.
    """
    if sys.platform == "win32":
        return "peak memory is read on Linux and macOS only"
    try:
        found = [_largest(model, *each, openvino=openvino) for each in ((size,) if size else SIZES)]
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        return f"the process that measures it ended early ({type(error).__name__})"
    if size is not None:
        loaded, peak = found[0]
        return memory_from_peaks({0: loaded, size[0] * size[1]: peak})
    return memory_from_peaks({rows * columns: peak for (rows, columns), (_, peak) in zip(SIZES, found, strict=True)})


def memory_from_peaks(peaks_mib: dict[int, float]) -> Memory:
    """The line through two peaks, by pixels; numbers rounded up."""
    (small, low), (large, high) = sorted(peaks_mib.items())
    slope = max(0.0, (high - low) / (large - small))
    return Memory(base_mib=_coarse(max(0.0, low - slope * small)), mib_per_megapixel=_coarse(slope * MEGAPIXEL))


def _coarse(mib: float) -> float:
    return -(-mib // STEP_MIB) * STEP_MIB


def _largest(model: Path, height: int, width: int, *, openvino: str | None) -> tuple[float, float]:
    """MiB with the model loaded, and at the peak, each at its largest."""
    loaded, peak = zip(*(_probed(model, height, width, openvino=openvino) for _ in range(TRIES)), strict=True)
    return max(loaded), max(peak)


def _probed(model: Path, height: int, width: int, *, openvino: str | None = None) -> tuple[float, float]:
    """MiB with the model loaded, and at the peak. -P: the modules beside the script are not for import."""
    command = [
        sys.executable,
        "-P",
        memory_probe.__file__,
        str(model),
        str(height),
        str(width),
        *([openvino] if openvino else []),
    ]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)
    found = json.loads(ended.stdout)
    return found["loaded_mib"], found["peak_mib"]
