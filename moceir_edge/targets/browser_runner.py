"""Running a browser artifact's model in Node: the page's own code and library, without a browser.

Code and library are those of the installation: a model is data, and nothing out of an artifact is executed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.errors import ArtifactError
from moceir_edge.runner import Image, Outputs
from moceir_edge.targets.browser_page import library, sources

SCRIPT = "node.mjs"


def node() -> str | None:
    """Where Node is, if it is."""
    return shutil.which("node")


class NodeRunner:
    """A process that restores pictures with onnxruntime-web in WebAssembly, one thread; ended with its runner.

    ArtifactError where it does not start, or ends.
    """

    stands_in = ""

    def __init__(self, model: Path, *, size: tuple[int, int] | None) -> None:
        program = node()
        assert program is not None
        self.size = size
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            [program, str(sources() / SCRIPT), str(model), str(library())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        weakref.finalize(self, _end, self._process)
        self._line()

    @property
    def provider(self) -> str:
        """What runs it."""
        return "onnxruntime-web in Node, WebAssembly"

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
        found: dict[str, Any] = json.loads(line)
        return found

    def _ended(self) -> ArtifactError:
        self._process.wait()
        self._log.seek(0)
        said = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if "rror" in line]
        reason = said[0] if said else f"exit code {self._process.returncode}"
        return ArtifactError(f"onnxruntime-web does not run the model in Node: {reason}", "export it again")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):  # what was not read by a process that is gone
                stream.close()
