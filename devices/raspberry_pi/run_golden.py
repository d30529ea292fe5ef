#!/usr/bin/env python3
"""Run and time an artifact's golden pictures on a board, with nothing but numpy and onnxruntime.

Usage: python3 run_golden.py ARTIFACT OUT [PICTURES]

ARTIFACT: a folder exported with `target: onnx`; its model and pictures are checked by their hashes. PICTURES: so many
of them, all without it. Writes what the model restored as OUT/<number>.npy (float32, NCHW, not clipped) and
OUT/result.json, and prints a line for each picture: PSNR against the full model's output (peak 1, not clipped), and
milliseconds of the second run; under emulation, which is slow and tells no times, there is one run. No limit is set to
that PSNR, which is of slimming and precision as well. Exit code: 0 it ran, 2 wrong input, 3 a picture holds NaN or
infinity. Needs Python 3.9 or later and an onnxruntime that reads the file: 1.16 or later.
"""

import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


class InputError(Exception):
    """What is wrong, and what to do, in one line."""


def read_artifact(artifact):
    """What artifact.json says; InputError where it is for something else, or a file is not what was exported."""
    try:
        described = json.loads((artifact / "artifact.json").read_text(encoding="utf-8"))
        target, takes_gates = described["target"], described["recipe"]["gates_input"]
        golden = described["golden"]
        names = [described["model"]] + [row[kind] for row in golden for kind in ("input", "reference")]
        expected = {name: described["files"][name]["sha256"] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("{}: no whole artifact: {!r}; export it again".format(artifact, error)) from error
    if target != "onnx":
        raise InputError("{} is for {}; give one exported with target: onnx".format(artifact, target))
    if takes_gates:
        raise InputError("{} takes its gates from the caller; export it without gates_input".format(artifact))
    if not golden:
        raise InputError("{} has no golden pictures; export it again".format(artifact))
    for name, sha256 in expected.items():
        if sha256_of(artifact / name) != sha256:
            raise InputError("{} was altered or cut off; copy the artifact again".format(artifact / name))
    return described


def sha256_of(path):
    """Of a file; None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def run_golden(artifact, out, pictures=None):
    """Run the golden pictures (all, or so many) twice, or once under emulation; returns what result.json says."""
    described = read_artifact(artifact)
    session = load(artifact / described["model"])
    emulated = "QEMU_CPU" in os.environ
    rows = [run_picture(session, artifact, golden, once=emulated) for golden in described["golden"][:pictures]]
    out.mkdir(parents=True, exist_ok=True)
    for number, (_, restored) in enumerate(rows):
        np.save(out / "{}.npy".format(number), restored)
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
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no base but this one
        said = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError("ONNX Runtime {} does not load it: {}".format(onnxruntime.__version__, said)) from error


def run_picture(session, artifact, golden, once):
    """A row of the result, and the restored picture (1, 3, H, W)."""
    image = np.load(artifact / golden["input"]).astype(np.float32) / np.float32(255)
    reference = np.load(artifact / golden["reference"])
    for _ in range(1 if once else 2):
        start = time.perf_counter()
        restored = session.run(["restored"], {"image": image})[0]
        milliseconds = 1000 * (time.perf_counter() - start)
    finite = bool(np.isfinite(restored).all())
    error = float(np.mean((restored.astype(np.float64) - reference) ** 2)) if finite else 0
    psnr_db = None if error == 0 else -10 * float(np.log10(error))
    return {"name": golden["name"], "finite": finite, "psnr_db": psnr_db, "milliseconds": milliseconds}, restored


def line(row):
    """A picture in words."""
    psnr = "equal" if row["psnr_db"] is None else "{:.2f} dB".format(row["psnr_db"])
    said = "{} to the full model".format(psnr) if row["finite"] else "NaN or infinity"
    return "{}: {}, {:.0f} ms".format(row["name"], said, row["milliseconds"])


def main(arguments):
    """See above for exit codes."""
    count = arguments[2] if len(arguments) == 3 else "1"
    if len(arguments) not in (2, 3) or not count.isdecimal() or int(count) < 1:
        sys.stderr.write(__doc__)
        return 2
    out = Path(arguments[1])
    try:
        result = run_golden(Path(arguments[0]), out, int(count) if len(arguments) == 3 else None)
        (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    except (InputError, OSError) as error:
        sys.stderr.write("error: {}\n".format(error))
        return 2
    for row in result["pictures"]:
        print(line(row))
    return 0 if all(row["finite"] for row in result["pictures"]) else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
