"""The demo: the bundled model and pictures through every stage, for every target that works here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from moceir_edge.errors import MissingBackendError
from moceir_edge.recipe.read import read_recipe
from moceir_edge.resources import bundled
from moceir_edge.stages import PipelineRequest, PipelineResult, pipeline
from moceir_edge.targets.target import target_of
from moceir_edge.terms import Progress, Task, silent

MODEL = Path(__file__).parent / "models" / "tiny.safetensors"
"""The trained tiny MoCE-IR that ships with the package; see models/README.md."""

REPAIR = "pip install 'moceir-edge[all]'"

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
    return pipeline(request, force=force, progress=progress, say=say)
