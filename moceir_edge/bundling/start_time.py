"""How long the runner takes from nothing to its first restored picture, against ONNX Runtime alone.

python -m moceir_edge.bundling.start_time ARTIFACT [--device x86_laptop] [--rounds 15]

Both run in fresh processes, in turn, so that whatever else the machine does meets both. The runner checks every hash,
reads a picture file and writes one; ONNX Runtime alone loads the model and restores the same pixels.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from moceir_edge.artifacts import read_artifact
from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.manifest import ARTIFACT_FOLDER
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.data.images import Picture, write_picture
from moceir_edge.errors import InputError, MoceirEdgeError
from moceir_edge.records import Record, scratch_folder
from moceir_edge.terms import TargetName

LIMIT = 1.5
"""Most that the runner may take, in times of ONNX Runtime alone."""

BARE = """
import sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = numpy.load(sys.argv[2]).astype(numpy.float32) / numpy.float32(255)
session.run(None, {"image": image})
"""


class StartTime(Record):
    """Milliseconds of the rounds, in order; ratio: median over the rounds of runner / bare."""

    runner_ms: tuple[float, ...]
    bare_ms: tuple[float, ...]
    ratio: float

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"runner {median(self.runner_ms):.0f} ms, ONNX Runtime alone {median(self.bare_ms):.0f} ms, "
            f"median ratio of {len(self.runner_ms)} rounds {self.ratio:.2f} (at most {LIMIT:g})"
        )


def measure_start(artifact: Path, device: str, *, rounds: int) -> StartTime:
    """Time both; InputError for an artifact that ONNX Runtime does not run."""
    described = read_artifact(artifact)
    if described.target is not TargetName.ONNX:
        raise InputError(f"{artifact} is for {described.target}", "give one of target onnx")
    with scratch_folder() as scratch:
        bundle(artifact, device, scratch / "bundle.tar.gz")
        folder = scratch / open_bundle(scratch / "bundle.tar.gz", scratch).name
        golden = folder / ARTIFACT_FOLDER / described.golden[0].input
        write_picture(Picture(np.load(golden)[0].astype(np.float32) / np.float32(255)), scratch / "golden.png")
        restore = ["restore", str(scratch / "golden.png"), "--out", str(scratch / "out"), "--force"]
        runner = [str(folder / "runner.pyz"), *restore]
        bare = ["-c", BARE, str(folder / ARTIFACT_FOLDER / described.model), str(golden)]
        times = [(_milliseconds(runner), _milliseconds(bare)) for _ in range(rounds + 1)][1:]
    return StartTime(
        runner_ms=tuple(runner_ms for runner_ms, _ in times),
        bare_ms=tuple(bare_ms for _, bare_ms in times),
        ratio=median(runner_ms / bare_ms for runner_ms, bare_ms in times),
    )


def _milliseconds(words: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - start)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 within the limit, 2 wrong input, 3 above it."""
    parser = argparse.ArgumentParser(prog="python -m moceir_edge.bundling.start_time", description=__doc__)
    parser.add_argument("artifact", type=Path, metavar="ARTIFACT")
    parser.add_argument("--device", default="x86_laptop", help="a device profile that fits this machine")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(arguments)
    try:
        found = measure_start(given.artifact, given.device, rounds=given.rounds)
    except MoceirEdgeError as error:
        sys.stderr.write(f"error: {error.what}\n  {error.remedy}\n")
        return error.exit_code
    sys.stdout.write(f"{found.text}\n")
    return 0 if found.ratio <= LIMIT else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
