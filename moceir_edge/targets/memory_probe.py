"""Peak memory of a process that runs one ONNX file once: a script for a fresh process, with nothing else loaded.

Usage: python memory_probe.py MODEL HEIGHT WIDTH; prints JSON: resident MiB with the model loaded, and at the peak.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


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


def probe(model: str, height: int, width: int) -> dict[str, float]:
    """Load, run once on a grey picture; one thread, so that the number does not hang on the cores."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    loaded = peak_mib()
    sizes = {"height": height, "width": width}
    inputs: dict[str, Any] = {
        tensor.name: np.full([sizes.get(side, side) for side in tensor.shape], 0.5, np.float32)
        for tensor in session.get_inputs()
    }
    session.run(None, inputs)
    return {"loaded_mib": loaded, "peak_mib": peak_mib()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(probe(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
