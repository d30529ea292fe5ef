"""Peak memory of a process that runs one ONNX file once: a script for a fresh process, with nothing else loaded.

Usage: python memory_probe.py MODEL HEIGHT WIDTH [HINT]; prints JSON: resident MiB with the model loaded, and at the
peak. With HINT, what floats may be computed in, OpenVINO runs it, else ONNX Runtime.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Loaded = tuple[dict[str, list[Any]], Callable[[dict[str, Any]], object]]
"""Shapes of the inputs by name, with "height" and "width" where they are open, and the call that runs the model."""


def peak_mib() -> float:
    """Largest resident memory of this process so far.

    Linux keeps it for the program that runs, as VmHWM; its ru_maxrss starts at what the parent of the process had.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def probe(model: str, height: int, width: int, hint: str | None = None) -> dict[str, float]:
    """Load, run once on a grey picture; one thread, so that the number does not hang on the cores."""
    import numpy as np

    inputs, run = _onnxruntime(model) if hint is None else _openvino(model, hint)
    loaded = peak_mib()
    sizes = {"height": height, "width": width}
    run({n: np.full([sizes.get(side, side) for side in shape], 0.5, np.float32) for n, shape in inputs.items()})
    return {"loaded_mib": loaded, "peak_mib": peak_mib()}


def _onnxruntime(model: str) -> Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return {tensor.name: tensor.shape for tensor in session.get_inputs()}, lambda feed: session.run(None, feed)


def _openvino(model: str, hint: str) -> Loaded:
    import openvino

    core = openvino.Core()
    settings = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
    network = core.read_model(model)
    inputs = {
        port.get_any_name(): [
            side.get_length() if side.is_static else ("height", "width")[axis - 2]
            for axis, side in enumerate(port.get_partial_shape())
        ]
        for port in network.inputs
    }
    return inputs, core.compile_model(network, "CPU", settings)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
