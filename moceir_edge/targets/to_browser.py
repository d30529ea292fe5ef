"""A static folder for the browser: ONNX, onnxruntime-web and a page around them that works without a network.

WebAssembly computes in float32 and in 8-bit integers; float16 has no kernels there.
"""

from __future__ import annotations

from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.errors import MissingBackendError
from moceir_edge.memory import Memory
from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.runner import Runner
from moceir_edge.targets.browser_page import is_library_of, library, library_version, write_page
from moceir_edge.targets.browser_runner import node, node_runner
from moceir_edge.targets.onnx_runtime import OnnxRunner, session
from moceir_edge.targets.target import Calibration, Exported, Target, Timer
from moceir_edge.targets.to_onnx import MODEL_FILE, measured_integer_share, write_onnx
from moceir_edge.targets.to_onnx import TARGET as ONNX
from moceir_edge.terms import GateState, Precision, TargetName

NO_NODE = "Node is not installed, so WebAssembly was not run"


class _Browser:
    name = TargetName.BROWSER

    def missing(self) -> str | None:
        return ONNX.missing() or _no_library()

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return fold_norms(program)

    def timer(self, recipe: Recipe) -> Timer | str:
        return "browsers differ too much for one machine's times"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        path = folder / MODEL_FILE
        exported = write_onnx(program, recipe, calibration, path, unsigned=True)
        session(path)
        write_page(folder, webgpu=recipe.browser_options.webgpu)
        assert recipe.fixed_size is not None  # the recipe's own rule
        integer = recipe.precision is Precision.INT8
        skipped = (Skipped(what="WebGPU", reason="no GPU of a browser is here: the page itself checks it before use"),)
        return exported.model_copy(
            update={
                "proofs": Proofs(parsed=_accepted(exported), built=_built(folder)),
                "integer_share": measured_integer_share(program, path, recipe.fixed_size) if integer else None,
                "versions": {**exported.versions, "onnxruntime-web": library_version()},
                "skipped": (*exported.skipped, *(skipped if recipe.browser_options.webgpu else ())),
            }
        )

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        """WebAssembly in Node with one thread, else ONNX Runtime on the same file, which says so."""
        model, why = folder / artifact.model, _why_not(folder)
        if why is not None:
            return OnnxRunner(model, size=artifact.fixed_size, stands_in=why, threads=threads)
        return node_runner(model, size=artifact.fixed_size)

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return "what a tab may take is the browser's to say"

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


def _no_library() -> str | None:
    try:
        library()
    except MissingBackendError as error:
        return f"{error.what}: {error.remedy}"
    return None


def _why_not(folder: Path) -> str | None:
    """Why its WebAssembly is not run here; None where it is."""
    if node() is None:
        return NO_NODE
    absent = _no_library()
    if absent is not None:
        return absent
    return None if is_library_of(folder) else "its onnxruntime-web is not the one installed here"


def _accepted(exported: Exported) -> Proof:
    return Proof(state=GateState.PASSED, reason=f"ONNX Runtime {exported.versions['onnxruntime']}")


def _built(folder: Path) -> Proof:
    """Whether onnxruntime-web makes a session of it."""
    if node() is None:
        return Proof(reason=NO_NODE)
    node_runner(folder / MODEL_FILE, size=None)
    return Proof(state=GateState.PASSED, reason=f"onnxruntime-web {library_version()} in Node")


TARGET: Target = _Browser()
