"""ORT format: what reduced builds of ONNX Runtime read, on phones above all, and which operators such a build needs.

Version 6 of the format, which ONNX Runtime reads since 1.16 (and onnxruntime-android with it). The graph is optimized
when it is saved, and no more when it is loaded. What only x86 has (channels in blocks, NCHWc) is left out, as
onnxruntime.tools.convert_onnx_models_to_ort does; the rest every CPU has.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from moceir_edge.targets.onnx_runtime import onnxruntime_tool
from moceir_edge.targets.ort_flatbuffer import put_in_order

ORT_FILE = "model.ort"
OPERATORS_FILE = "required_operators.config"

_HEAD = """\
# What model.ort needs of ONNX Runtime. For a build with nothing else, in its sources:
#   build.sh --android --android_abi arm64-v8a --minimal_build extended \\
#     --include_ops_by_config required_operators.config --enable_reduced_operator_type_support
"""


def write_ort(model: Path, path: Path, *, for_cpu: bool) -> None:
    """Save an ONNX file in ORT format, with the operators it needs beside it.

    for_cpu: with the CPU's fused kernels in the graph, which other providers do not know; else with standard operators.
    int8 stays int8, as Arm wants it.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if for_cpu else levels.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=["NchwcTransformer"]
    )
    put_in_order(path)
    _write_operators(path)


def _write_operators(path: Path) -> None:
    """With the types that each of them is needed for."""
    with tempfile.TemporaryDirectory() as scratch:
        operators = Path(scratch) / OPERATORS_FILE
        onnxruntime_tool("ort_format_model").create_config_from_models([path], operators, True)
        lines = operators.read_text(encoding="utf-8").splitlines(keepends=True)
    needed = [line for line in lines if not line.startswith("#")]  # comments name the file, wherever it lay
    (path.parent / OPERATORS_FILE).write_text("".join((_HEAD, *needed)), encoding="utf-8")
