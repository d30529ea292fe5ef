"""Runs an artifact's model for the core on a JVM: MODEL [FOLDER for a trace].

Writes the library's version (its length in 16 bits before it), then reads height and width (32 bits) and the picture's
planes, and writes the restored planes, the agreement, the number of scores (32 bits) and the scores; all numbers
big-endian, floats in 32 bits. Ends with its input.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnxruntime as ort


def main(model: str, trace: str | None) -> None:
    """Serve until the input ends."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = trace is not None
    options.profile_file_prefix = str(Path(trace or ".") / "trace")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    version = ort.__version__.encode()
    write(struct.pack(">H", len(version)) + version)
    while header := sys.stdin.buffer.read(8):
        height, width = struct.unpack(">ii", header)
        write(answer(session, height, width, sys.stdin.buffer))
    if trace is not None:
        session.end_profiling()


def answer(session: ort.InferenceSession, height: int, width: int, source: BinaryIO) -> bytes:
    """Of one picture."""
    image = np.frombuffer(source.read(12 * height * width), ">f4").reshape(1, 3, height, width).astype(np.float32)
    restored, agreement, scores = session.run(["restored", "agreement", "scores"], {"image": image})
    parts = [part.astype(">f4").tobytes() for part in (restored, agreement, scores)]
    return parts[0] + parts[1] + struct.pack(">i", scores.size) + parts[2]


def write(data: bytes) -> None:
    """At once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
