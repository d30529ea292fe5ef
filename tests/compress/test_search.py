"""The search for a plan: what was measured is kept, and an interrupted search goes on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.compress import search
from moceir_edge.compress.crops import Crop
from moceir_edge.compress.group_costs import GroupCosts, modelled_costs
from moceir_edge.compress.groups import Choice, Group, groups_of
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.safety import Allowed
from moceir_edge.compress.search import measured_on, search_plan, worthwhile
from moceir_edge.compress.simulation import Effects, measure_effects
from moceir_edge.keeping import Forgetful, Keeper, Within
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import QuantizeOptions
from moceir_edge.run_folder import RunFolder
from tests.targets.networks import crops, small_network

SIZE = (32, 40)

ALLOWED = Allowed(residual_snr_db=5.0, mean_loss_db=0.1, worst_loss_db=0.5)


@pytest.fixture(scope="module")
def program() -> Program:
    """A small network."""
    return lower(small_network())


class Measuring:
    """Costs by the model; counts how often it is asked."""

    def __init__(self, program: Program) -> None:
        self.program, self.asked = program, 0

    def __call__(self, groups: Sequence[Group], ranges: Mapping[str, Ranges]) -> GroupCosts:
        """See `search.Measure`."""
        assert set(ranges) == {name for group in groups for name in group.convolutions}
        self.asked += 1
        return modelled_costs(self.program, groups, size=SIZE)


def searched(
    program: Program,
    measure: Measuring,
    keeper: Keeper,
    *,
    crop: int = 32,
    allowed: Allowed = ALLOWED,
    exact: bool = False,
) -> PrecisionPlan:
    """A plan; exact: the crops are as they should be, so that the network can only harm them."""
    given = [Crop(pixels, pixels if exact else None, "derain") for pixels in crops(2)]
    options = QuantizeOptions(crop=crop)
    return search_plan(program, given, options, measure, allowed=allowed, size=SIZE, keeper=keeper)


def test_an_interrupted_search_goes_on(program: Program, tmp_path: Path) -> None:
    """Broken off after the first crop, it measures neither costs nor that crop again, and ends with the same plan."""
    whole = searched(program, Measuring(program), Forgetful())

    def interrupt(line: str) -> None:
        if line == "search-effects-1: running":
            raise KeyboardInterrupt

    measure = Measuring(program)
    run = RunFolder(tmp_path / "run", say=interrupt)
    with run.open(force=False), pytest.raises(KeyboardInterrupt):
        searched(program, measure, Within(run, "search", {"model": "a"}))
    run = RunFolder(tmp_path / "run", say=lambda _: None)
    with run.open(force=False):
        plan = searched(program, measure, Within(run, "search", {"model": "a"}))
    assert measure.asked == 1
    assert run.reused == ["search-costs", "search-effects-0"]
    assert run.ran == ["search-effects-1"]
    assert plan == whole
    run = RunFolder(tmp_path / "run", say=lambda _: None)
    with run.open(force=False):
        searched(program, measure, Within(run, "search", {"model": "b"}))
    assert measure.asked == 2


def test_other_limits_measure_effects_again(program: Program, tmp_path: Path) -> None:
    """Ranges depend on what crops tolerate; costs do not."""
    run = RunFolder(tmp_path / "run", say=lambda _: None)
    measure, stricter = Measuring(program), ALLOWED.model_copy(update={"residual_snr_db": 4.0})
    with run.open(force=False):
        searched(program, measure, Within(run, "search", {}))
        plan = searched(program, measure, Within(run, "search", {}), allowed=stricter)
    assert plan == searched(program, Measuring(program), Forgetful(), allowed=stricter)
    assert run.reused == ["search-costs"]


def test_effects_are_measured_on_centres(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of crops that are larger than the recipe's; against targets only where the task is restored."""
    seen: list[Crop] = []

    def watched(*given: Any, **options: Any) -> Effects:
        seen.append(given[2])
        return measure_effects(*given, **options)

    monkeypatch.setattr(search, "measure_effects", watched)
    plan = searched(program, Measuring(program), Forgetful(), crop=16, exact=True)
    assert [(crop.image.shape, crop.target) for crop in seen] == [((1, 3, 16, 16), None)] * 2
    assert plan.simulated.mean_change_db == {}


def test_a_dearer_chain_is_not_looked_at() -> None:
    """It is louder than int8 as well."""
    group = Group("ffn", ("a",), ("b",))

    def costs(chain: float) -> GroupCosts:
        return GroupCosts(what="", by_group={"ffn": {Choice.FLOAT: 1.0, Choice.INT8: 0.9, Choice.CHAIN: chain}})

    assert worthwhile(group, costs(0.8)) == (Choice.INT8, Choice.CHAIN)
    assert worthwhile(group, costs(1.0)) == (Choice.INT8,)


def test_every_group_has_its_choice(program: Program) -> None:
    """In the plan, in running order, with what stays in float."""
    plan = searched(program, Measuring(program), Forgetful())
    assert [group.name for group in plan.groups] == [group.name for group in groups_of(program)]
    assert plan.costs.startswith("float32 multiply-accumulates")


def test_effects_are_measured_on_crops_of_every_task() -> None:
    """Two of each of several tasks, four of a single one, as far as there are some."""
    one = np.zeros((1, 3, 8, 8), np.float32)

    def chosen(*tasks: str) -> list[int]:
        return measured_on([Crop(one, task=task) for task in tasks])

    assert chosen(*"abcabcabc") == [0, 3, 1, 4, 2, 5]
    assert chosen(*"aaaaaa") == [0, 1, 2, 3]
    assert chosen("a", "b", "b") == [0, 1, 2]
