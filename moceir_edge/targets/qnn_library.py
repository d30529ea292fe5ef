"""Qualcomm's NPUs through ONNX Runtime's QNN provider: which there are, compiling for one, running it emulated.

Qualcomm's libraries for x86 compile for the Hexagon Tensor Processor (HTP) without a phone, and emulate it.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from moceir_edge.errors import ArtifactError
from moceir_edge.recipe.schema import Chip
from moceir_edge.targets.process_runner import ProcessRunner, reason_of

REPAIR = "pip install 'moceir-edge[qnn]'"


class Npu(NamedTuple):
    """htp_arch: version of the Hexagon Tensor Processor; soc_model: Qualcomm's number of the chip around it."""

    name: str
    htp_arch: int
    soc_model: int


NPUS: dict[Chip, Npu] = {
    "snapdragon_8_gen_2": Npu("Snapdragon 8 Gen 2 (SM8550)", 73, 43),
    "snapdragon_8_gen_3": Npu("Snapdragon 8 Gen 3 (SM8650)", 75, 57),
    "snapdragon_8_elite": Npu("Snapdragon 8 Elite (SM8750)", 79, 69),
}
"""From Qualcomm's table in tensorflow/tensorflow, tensorflow/lite/experimental/litert/vendors/qualcomm/core/schema/
soc_table.h."""


def missing() -> str | None:
    """What lacks, with the repair."""
    return None if find_spec("onnxruntime_qnn") else f"onnxruntime-qnn (Linux on x86) not installed: {REPAIR}"


def library_versions() -> dict[str, str]:
    """Of what compiles."""
    from onnxruntime_qnn.build_and_package_info import qnn_version

    return {"onnxruntime-qnn": version("onnxruntime-qnn"), "Qualcomm AI Engine Direct": qnn_version}


def library_text() -> str:
    """Names and versions of what compiles."""
    return ", ".join(f"{name} {number}" for name, number in library_versions().items())


def compile_context(model: Path, context: Path, graphs: Path, npu: Npu) -> None:
    """Write the context for an NPU, and the graph that its compiler was given; ArtifactError where it refuses."""
    command = _command("compile", str(model), str(context), str(graphs), npu)
    ended = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if ended.returncode != 0 or not context.exists():
        reason = reason_of(ended.stderr.decode(errors="replace"), ended.returncode)
        size = "finalize" in reason or ended.returncode < 0  # what products over too many pixels end with
        remedy = "set a smaller size: 192x128 is known to compile" if size else "export it again"
        raise ArtifactError(f"Qualcomm's compiler refuses the model for {npu.name}: {reason}", remedy)


def emulated(context: Path, npu: Npu, *, size: tuple[int, int] | None) -> ProcessRunner:
    """A context on Qualcomm's emulation of the NPU; seconds for a small picture."""
    return ProcessRunner(
        _command("run", str(context), npu),
        size=size,
        what="onnxruntime-qnn",
        provider=f"Qualcomm's emulation of HTP v{npu.htp_arch}",
    )


def _command(*parts: str | Npu) -> list[str]:
    """-P: the modules beside the script are not for import."""
    *texts, npu = parts
    assert isinstance(npu, Npu)
    numbers = [str(npu.htp_arch), str(npu.soc_model)]
    return [sys.executable, "-P", str(Path(__file__).with_name("qnn_process.py")), *map(str, texts), *numbers]
