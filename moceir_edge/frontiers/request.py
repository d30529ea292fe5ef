"""What a frontier is asked for, and what of it can be had here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moceir_edge.benchmarking.building import recipe_of
from moceir_edge.device_profile import profile_name, read_device_profile
from moceir_edge.errors import InputError
from moceir_edge.exporting import require_target
from moceir_edge.frontiers.choosing import Ceiling
from moceir_edge.predicting.predict import refusal_of
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.targets.target import target_of
from moceir_edge.terms import Precision, Task

SIZE = (256, 256)
"""Height and width of every point: what is timed and compared."""

SHARES = (1.0, 0.75, 0.5, 0.25)
"""Of the MACs of the slim model."""


@dataclass(frozen=True)
class FrontierRequest:
    """What is asked for.

    tasks: without any, those the model was made for. shares: of the slim model's MACs that stay, in (0, 1].
    recipes: by name, taken at `SIZE`; without any, float32 and int8 for ONNX Runtime. device: a profile, whose
    predicted bounds are compared in place of latencies here. threads: that compute; None leaves them to the runtimes.
    """

    model: Path
    data: Path
    out: Path
    tasks: tuple[Task, ...] = ()
    calibration: Path | None = None
    shares: tuple[float, ...] = SHARES
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    ceiling: Ceiling | None = None
    device: str | None = None
    threads: int | None = None

    @property
    def limit(self) -> Ceiling | None:
        """The ceiling, of the device where one is named."""
        name = None if self.device is None else profile_name(self.device)
        return None if self.ceiling is None else self.ceiling.model_copy(update={"device": name})

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that are read."""
        return [path for path in (self.model, self.data, self.calibration) if path is not None]


def shares_of(request: FrontierRequest) -> tuple[float, ...]:
    """Each once, the largest first; InputError for one that is none."""
    for share in request.shares:
        if not 0 < share <= 1:
            raise InputError(f"{share:g} is no share of the MACs", "give numbers above 0 and at most 1")
    if not request.shares:
        raise InputError("no share of the MACs", "give some with --keep-macs")
    return tuple(sorted(set(request.shares), reverse=True))


def recipes_of(request: FrontierRequest) -> tuple[dict[str, Recipe], tuple[Skipped, ...]]:
    """What every model is written with, and what is left out, with the reason.

    MissingBackendError where no recipe's target is installed; InputError where the device runs none, or is not known.
    """
    asked = request.recipes or {each.value: recipe_of(each, SIZE) for each in (Precision.FLOAT32, Precision.INT8)}
    recipes, skipped = {}, []
    for name, recipe in asked.items():
        reason = target_of(recipe.target).missing() or _not_on_device(request, recipe)
        if recipe.gates_input:
            reason = "its artifact takes the gates from the caller"
        if reason is None:
            recipes[name] = recipe.model_copy(update={"size": SIZE})
        else:
            skipped.append(Skipped(what=name, reason=reason))
    if not recipes:
        for recipe in asked.values():
            require_target(recipe)
            refused = _not_on_device(request, recipe)
            if refused is not None:
                raise InputError(refused, "name recipes for what it runs with --recipe")
        raise InputError("no recipe whose artifact finds its gates itself", "leave gates_input out")
    return recipes, tuple(skipped)


def _not_on_device(request: FrontierRequest, recipe: Recipe) -> str | None:
    if request.device is None:
        return None
    return refusal_of(read_device_profile(request.device), profile_name(request.device), recipe.target)
