"""What `import moceir_edge` costs: no heavy library is loaded before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "av",
    "coremltools",
    "cryptography",
    "jinja2",
    "lightning",
    "matplotlib",
    "nncf",
    "onnx",
    "onnxruntime",
    "openvino",
    "scipy",
    "skimage",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "torch",
}


@pytest.mark.parametrize("module", ["moceir_edge", "moceir_edge.cli"])
def test_import_stays_light(module: str) -> None:
    """Importing the package, or the command line for its --help, loads none of the heavy libraries."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert HEAVY.isdisjoint(json.loads(result.stdout))
