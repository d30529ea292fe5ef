"""A network that exports in seconds, and what is exported from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from moceir_edge.artifacts import Artifact, Counts, Origin
from moceir_edge.compress.crops import Crop
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import measure_ranges
from moceir_edge.compress.safety import Simulated
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.runner import Image, Outputs, ProgramRunner
from moceir_edge.targets.target import Exported, Target, interface_of
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.terms import Precision

SIZE = (32, 40)


def small_network() -> MoceIR:
    """One level, two experts with routers, random weights."""
    torch.manual_seed(0)
    return MoceIR(build_architecture(8, (1,), 1, (1,), refinement_blocks=1, heads=(1, 2), experts=2)).eval()


def crops(count: int = 2, *, size: tuple[int, int] = SIZE) -> list[NDArray[np.float32]]:
    """(1, 3, H, W) of noise."""
    return [np.random.default_rng(seed).random((1, 3, *size), np.float32) for seed in range(count)]


def picture(*, size: tuple[int, int] = SIZE) -> Image:
    """(3, H, W) on 8-bit steps, as Core ML's pictures are."""
    return np.rint(np.random.default_rng(9).random((3, *size)) * 255).astype(np.float32) / np.float32(255)


UNHEARD = Simulated(residual_snr_db=60.0, mean_change_db={}, largest_change_db=None)
"""What a plan does that harms nothing."""


def full_plan(program: Program) -> PrecisionPlan:
    """Every candidate in integers."""
    ranges = measure_ranges(program, [Crop(crop) for crop in crops()], [1.0] * len(crops()))
    return PrecisionPlan(integer=ranges, skipped=(), integer_share=1.0, simulated=UNHEARD)


def exported(target: Target, program: Program, recipe: Recipe, folder: Path) -> Artifact:
    """What the stage would write, as far as a runner reads it."""
    folder.mkdir(exist_ok=True)
    prepared = target.prepare(program, recipe)
    if recipe.precision is Precision.INT8:
        full_plan(prepared).write(folder / PLAN_FILE)
    return artifact_of(program, recipe, target.export(prepared, recipe, crops(), folder))


def artifact_of(program: Program, recipe: Recipe, found: Exported) -> Artifact:
    """The part of artifact.json that does not depend on files."""
    return Artifact(
        target=recipe.target,
        precision=recipe.precision,
        tasks=("derain",),
        model=found.model,
        interface=interface_of(program, recipe),
        files={},
        origin=Origin(checkpoint_sha256="", model_sha256=""),
        recipe=recipe.model_dump(mode="json"),
        versions=found.versions,
        counts=Counts(parameters=0, size_bytes=0, macs=0, size=SIZE, integer_share=found.integer_share),
        proofs=found.proofs,
        islands=found.islands,
        estimates=found.estimates,
    )


def recipe(target: str, precision: str = "float32", *, size: Any = SIZE, **fields: Any) -> Recipe:
    """A recipe of a few words."""
    return Recipe.model_validate({"target": target, "precision": precision, "size": size, **fields})


def expected(program: Program, image: Image) -> Outputs:
    """What the program gives in float32."""
    return ProgramRunner(StaticNetwork(program)).run(image)
