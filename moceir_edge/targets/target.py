"""The seam between a program and the runtimes: what every target module provides."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from moceir_edge.artifacts import Artifact, Estimate, Interface, Proofs, Tensor
from moceir_edge.errors import ArtifactError
from moceir_edge.memory import Memory
from moceir_edge.program.program import AGREEMENT, CHOSEN, GATES, IMAGE, RESTORED, SCORES, Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record, Skipped
from moceir_edge.runner import Runner
from moceir_edge.terms import Progress, TargetName

if TYPE_CHECKING:  # they load PyTorch, and running an artifact does without
    from moceir_edge.compress.group_costs import GroupCosts
    from moceir_edge.compress.groups import Group
    from moceir_edge.compress.ranges import Ranges

Calibration = Sequence[NDArray[np.float32]]
"""Crops (1, 3, H, W) float32 in [0, 1] of choosing pictures."""

Timer: TypeAlias = "Callable[[Program, Sequence[Group], Mapping[str, Ranges], Progress], GroupCosts]"
"""Times every choice of every group, whose convolutions read and write values of the given ranges."""

COUNT_SIZE = (256, 256)
"""Height and width at which MACs are counted and groups are timed where the artifact serves any size."""

Shape = tuple[int | Literal["height", "width"], ...]


class Exported(Record):
    """What a target wrote into a folder.

    model: relative path of the file (or package) that runs; integer_share: share of MACs in integer kernels, counted
    in the graph the runtime saved after optimizing, or in the network that its parser made; islands: operations left
    in float32 inside a lower precision;
    largest: height and width that an open size ends at, None where memory alone ends it; estimates: what runtimes that
    are not here would take of it.
    """

    model: str
    proofs: Proofs
    versions: dict[str, str]
    integer_share: float | None = None
    counted_in: str = "the graph that the runtime saved"
    islands: tuple[str, ...] = ()
    largest: tuple[int, int] | None = None
    skipped: tuple[Skipped, ...] = ()
    estimates: tuple[Estimate, ...] = ()


class Target(Protocol):
    """A runtime. Heavy libraries load inside its methods, with MissingBackendError and a repair hint."""

    name: TargetName

    def missing(self) -> str | None:
        """None if its libraries are installed, else "<what is missing>: <how to install it>"."""
        ...

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        """The program as the artifact will compute it, before rounding: e.g. with norms folded."""
        ...

    def timer(self, recipe: Recipe) -> Timer | str:
        """What measures how long the groups of a prepared program take on this machine, or why nothing does."""
        ...

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        """Write a prepared program into `folder`; for int8 the precision plan lies there already."""
        ...

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        """A runner of what was exported, or the reason why this machine cannot run it.

        threads: of a runtime that computes on the CPU; None leaves them to it.
        """
        ...

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        """What running the artifact takes, measured in a process of its own, or why it was not measured."""
        ...

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        """A runner that reproduces the artifact's arithmetic from its files, where the target has one."""
        ...


_MODULES = {
    TargetName.ONNX: "moceir_edge.targets.to_onnx",
    TargetName.TENSORRT: "moceir_edge.targets.to_tensorrt",
    TargetName.COREML: "moceir_edge.targets.to_coreml",
    TargetName.OPENVINO: "moceir_edge.targets.to_openvino",
    TargetName.BROWSER: "moceir_edge.targets.to_browser",
    TargetName.QNN: "moceir_edge.targets.to_qnn",
}


def target_of(name: TargetName) -> Target:
    """The target module's one constant."""
    return cast(Target, importlib.import_module(_MODULES[name]).TARGET)


def recipe_of(artifact: Artifact) -> Recipe:
    """The recipe an artifact was exported with; ArtifactError where it says none of ours."""
    try:
        return Recipe.model_validate(artifact.recipe)
    except ValidationError as error:
        raise ArtifactError(f"the artifact's recipe is damaged: {error.errors()[0]['msg']}", "export again") from error


def interface_of(program: Program, recipe: Recipe) -> Interface:
    """The input and output contract of an artifact; the same for every target and precision."""
    height: int | Literal["height"]
    width: int | Literal["width"]
    height, width = recipe.fixed_size or ("height", "width")
    layers, experts = len(program.layers), program.experts
    meanings: dict[str, tuple[Shape, str]] = {
        IMAGE: ((1, 3, height, width), "RGB picture in [0, 1]"),
        GATES: (
            (1, layers, experts),
            "weight of each expert in each routed layer; where all are 0, its router decides",
        ),
        RESTORED: ((1, 3, height, width), "restored picture, not clipped"),
        AGREEMENT: ((1,), "share of routed layers whose first choice is served"),
        SCORES: ((1, layers, experts), "router scores; `guard` tells by them whether a picture is foreign"),
        CHOSEN: ((1, layers, experts), "weights that were used: given as gates, they make another tile alike"),
    }

    def tensors(names: Sequence[str]) -> tuple[Tensor, ...]:
        return tuple(Tensor(name=name, shape=meanings[name][0], meaning=meanings[name][1]) for name in names)

    return Interface(inputs=tensors(program.inputs), outputs=tensors(tuple(program.outputs)))
