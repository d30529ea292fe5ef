#!/usr/bin/env python3
"""Run an artifact's golden pictures on a board, with nothing but numpy and onnxruntime.

Usage: python3 run_golden.py ARTIFACT OUT [PICTURES]

Writes what the model restored as OUT/<number>.npy (float32, NCHW, not clipped) and OUT/result.json, and prints a line
for each picture: PSNR against the full model's output (peak 1, not clipped), and milliseconds of the second run; under
emulation, which is slow and tells no times, there is one run. Needs Python 3.9 or later and an onnxruntime that reads
the file: 1.16 or later.
"""

import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def run_golden(artifact, out, pictures=None):
    """Run the golden pictures (all, or so many) twice, or once under emulation; returns what result.json says."""
    described = json.loads((artifact / "artifact.json").read_text(encoding="utf-8"))
    session = load(artifact / described["model"])
    emulated = "QEMU_CPU" in os.environ
    rows = [run_picture(session, artifact, golden, once=emulated) for golden in described["golden"][:pictures]]
    for number, (_, restored) in enumerate(rows):
        np.save(out / f"{number}.npy", restored)
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "provider": session.get_providers()[0],
        "pictures": [row for row, _ in rows],
    }


def load(model):
    """A session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def run_picture(session, artifact, golden, once):
    """A row of the result, and the restored picture (1, 3, H, W)."""
    image = np.load(artifact / golden["input"]).astype(np.float32) / np.float32(255)
    reference = np.load(artifact / golden["reference"])
    for _ in range(1 if once else 2):
        start = time.perf_counter()
        restored = session.run(["restored"], {"image": image})[0]
        milliseconds = 1000 * (time.perf_counter() - start)
    error = float(np.mean((restored.astype(np.float64) - reference) ** 2))
    psnr_db = None if error == 0 else -10 * float(np.log10(error))
    return {"name": golden["name"], "psnr_db": psnr_db, "milliseconds": milliseconds}, restored


def main(arguments):
    """Exit code 2 where the arguments are wrong."""
    if len(arguments) not in (2, 3) or not (Path(arguments[0]) / "artifact.json").is_file():
        sys.stderr.write(__doc__)
        return 2
    out = Path(arguments[1])
    out.mkdir(parents=True, exist_ok=True)
    result = run_golden(Path(arguments[0]), out, int(arguments[2]) if len(arguments) == 3 else None)
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in result["pictures"]:
        psnr = "equal" if row["psnr_db"] is None else "{:.2f} dB".format(row["psnr_db"])
        print("{}: {} to the full model, {:.0f} ms".format(row["name"], psnr, row["milliseconds"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
