"""The demo: the bundled model and pictures through every stage, for every target that works here, to a bundle that is
timed on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from moceir_edge.artifacts import artifact_sha256
from moceir_edge.bundling.bundle import bundle
from moceir_edge.device_result import read_result
from moceir_edge.errors import MissingBackendError
from moceir_edge.profiling.profile import THIS_MACHINE, profile
from moceir_edge.recipe.read import read_recipe
from moceir_edge.reporting.build import report
from moceir_edge.reporting.recorded import PROFILES
from moceir_edge.resources import bundled
from moceir_edge.stages import PipelineRequest, PipelineResult, pipeline
from moceir_edge.targets.target import target_of
from moceir_edge.terms import Progress, Task, silent

MODEL = Path(__file__).parent / "models" / "tiny.safetensors"
"""The trained tiny MoCE-IR that ships with the package; see models/README.md."""

REPAIR = "pip install 'moceir-edge[all]'"

BUNDLED = "demo-onnx"
"""The recipe whose artifact is bundled and timed: it runs wherever ONNX Runtime does."""

RECIPES = ("demo-onnx", "demo-openvino", "demo-tensorrt", "demo-coreml", "demo-browser")


def demo(
    out: Path, *, force: bool = False, progress: Progress = silent, say: Callable[[str], None] = lambda _: None
) -> PipelineResult:
    """Run the whole pipeline for rain; a target whose library is not installed is left out, and said."""
    recipes = {}
    for name, recipe in ((name, read_recipe(bundled("export", name))) for name in RECIPES):
        missing = target_of(recipe.target).missing()
        if missing is None:
            recipes[name] = recipe
        else:
            say(f"{name}: left out, {missing}")
    if not recipes:
        raise MissingBackendError("no target works here: none of their libraries is installed", REPAIR)
    request = PipelineRequest(MODEL, (Task.DERAIN,), recipes, bundled("calibration", "demo"), out)
    result = pipeline(request, force=force, progress=progress, say=say)
    bundled_one = next((outcome for outcome in result.artifacts if outcome.recipe == BUNDLED and outcome.passed), None)
    if bundled_one is not None:
        _profile(Path(bundled_one.folder), out, say)
        report(out)
    return result


def _profile(artifact: Path, run: Path, say: Callable[[str], None]) -> None:
    """Make a bundle for this machine and time it, once for each artifact; the report shows it."""
    kept = [read_result(path) for path in sorted((run / PROFILES).glob("*.json"))]
    if any(result.artifact_sha256 == artifact_sha256(artifact) for result in kept):
        return
    packed = run / f"{BUNDLED}.{THIS_MACHINE}.tar.gz"
    say(f"bundling {artifact.name} for this machine, and timing it")
    bundle(artifact, THIS_MACHINE, packed, force=True, say=say)
    profile(packed, out=run / PROFILES, say=say)
