"""A runner in a process of its own: what may crash, or write where it should not, does it there.

The process first writes a line of JSON {"ready": true}. For each picture it reads a line {"height", "width"} and
3 * height * width little-endian float32, writes a line {"agreement", "scores"} and as many float32, and ends with its
input. Its standard error is kept for the reason why it ended.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from moceir_edge.errors import ArtifactError
from moceir_edge.runner import Image, Outputs

_PATIENCE_S = 10
"""How long a process that no longer answers may take to end by itself."""


class ProcessRunner:
    """Restores pictures with a command; the process ends with its runner.

    what: the library in it, for messages. provider: what runs the model. ArtifactError where it does not start, or
    ends.
    """

    stands_in = ""

    def __init__(self, command: Sequence[str], *, size: tuple[int, int] | None, what: str, provider: str) -> None:
        self.size, self.what, self.provider = size, what, provider
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        weakref.finalize(self, _end, self._process)
        self._line()

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        _, height, width = image.shape
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{json.dumps({'height': height, 'width': width})}\n".encode())
            self._process.stdin.write(np.ascontiguousarray(image, "<f4").tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        answer = self._line()
        values = self._process.stdout.read(image.size * 4)
        if len(values) < image.size * 4:
            raise self._ended()
        restored = np.frombuffer(values, "<f4").reshape(image.shape).astype(np.float32)
        if answer["scores"] is None:
            return Outputs(restored)
        scores = np.asarray(answer["scores"]["data"], np.float32).reshape(answer["scores"]["shape"])
        return Outputs(restored, float(answer["agreement"]), scores)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            self._process.kill()  # what speaks another language may go on doing so
            raise self._ended() from None
        return found

    def _ended(self) -> ArtifactError:
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:  # it closed its output and lives on
            self._process.kill()
            self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace")
        reason = reason_of(said, self._process.returncode)
        return ArtifactError(f"{self.what} does not run the model: {reason}", "export it again")


def reason_of(said: str, code: int) -> str:
    """Why a process ended: the first line with an error of what it said, else its exit code or signal."""
    errors = [line.strip() for line in said.splitlines() if "rror" in line]
    if errors:
        return errors[0][:300]
    return f"it crashed (signal {-code})" if code < 0 else f"exit code {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # what was not read by a process that is gone
                stream.close()
