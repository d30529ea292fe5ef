"""Running a browser artifact's model in Node: the page's own code and library, without a browser.

Code and library are those of the installation: a model is data, and nothing out of an artifact is executed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from moceir_edge.targets.browser_page import library, sources
from moceir_edge.targets.process_runner import ProcessRunner

SCRIPT = "node.mjs"


def node() -> str | None:
    """Where Node is, if it is."""
    return shutil.which("node")


def node_runner(model: Path, *, size: tuple[int, int] | None) -> ProcessRunner:
    """onnxruntime-web in WebAssembly, one thread; ArtifactError where it does not take the model."""
    program = node()
    assert program is not None
    command = [program, str(sources() / SCRIPT), str(model), str(library())]
    return ProcessRunner(
        command, size=size, what="onnxruntime-web in Node", provider="onnxruntime-web in Node, WebAssembly"
    )
