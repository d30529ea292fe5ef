"""The guard on real pictures: a model for rain is told haze and darkness from rain, by rain alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import split, subset
from moceir_edge.demonstration import MODEL
from moceir_edge.guard_calibration import (
    FOREIGN_PICTURES,
    GuardFacts,
    Judged,
    by_task,
    calibrate_guard,
    judge_guard,
    tried,
)
from moceir_edge.guarding import GuardRule
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.resources import find_resource
from moceir_edge.terms import Task
from tests.training.short_runs import slim_model


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    """The bundled model: its routers are those of every slim one."""
    return load(MODEL)


@pytest.fixture(scope="module")
def demo() -> Dataset:
    """The bundled rain, some noise and darkness."""
    return read_data(find_resource("calibration", "demo"))


def test_the_demo_tells_darkness_from_rain(tiny: LoadedModel, demo: Dataset) -> None:
    """Three rainy pictures are enough for that; the rule and its tries are written and read again."""
    sides = split(demo)
    rule = calibrate_guard(tiny, sides.choosing.of([Task.DERAIN]))
    facts = judge_guard(tiny, rule, tried(sides.judging, [Task.DERAIN]), [Task.DERAIN])
    rows = {row.task: row for row in facts.by_task}
    assert facts.by_task[0].own
    assert rows[Task.DERAIN].area is None
    assert rows[Task.LOWLIGHT].area == rows[Task.LOWLIGHT].alarms == 1
    assert GuardFacts.model_validate_json(facts.model_dump_json()) == facts


def test_reasons_for_none(tiny: LoadedModel, demo: Dataset) -> None:
    """No routers, no pictures, too few photographs."""
    rain = demo.of([Task.DERAIN])
    assert calibrate_guard(slim_model(guarded=False), rain) == "the model carries no routers"
    assert calibrate_guard(tiny, rain.only([])) == "no choosing pictures"
    reason = calibrate_guard(tiny, rain.only(rain.samples[:2]))
    assert isinstance(reason, str)
    assert "2 choosing photographs are too few" in reason
    assert judge_guard(tiny, reason, rain, [Task.DERAIN]).reason == reason


def test_all_own_pictures_and_some_of_others_judge(demo: Dataset) -> None:
    """However many there are of other tasks."""
    noisy = [replace(each, name=f"{each.name}{n}") for n in range(9) for each in demo.of([Task.DENOISE_25]).samples]
    judging = demo.only([*demo.of([Task.DERAIN]).samples, *noisy])
    chosen = tried(judging, [Task.DERAIN])
    assert len(chosen.of([Task.DERAIN]).samples) == len(demo.of([Task.DERAIN]).samples)
    assert len(chosen.of([Task.DENOISE_25]).samples) == FOREIGN_PICTURES


def test_areas_and_alarms() -> None:
    """By hand: two of three foreign pictures above both own ones, one between them; no number is the farthest."""

    def picture(task: Task, distance: float | None) -> Judged:
        return Judged(name="p", task=task, distance=distance, foreign=distance is None or distance > 0.5)

    judged = [picture(Task.DERAIN, 0.1), picture(Task.DERAIN, 0.3)]
    judged += [picture(Task.DEHAZE, distance) for distance in (0.2, 0.9, None)]
    own, haze = by_task(judged, [Task.DERAIN])
    assert (own.task, own.alarms, own.area, own.curve) == (Task.DERAIN, 0, None, None)
    assert haze.alarms == pytest.approx(2 / 3)
    assert haze.area == pytest.approx(5 / 6)
    assert haze.curve is not None
    assert haze.curve[0] == (0, 0)
    assert haze.curve[-1] == (1, 1)
    (alone,) = by_task(judged[2:], [Task.DERAIN])
    assert alone.area is None


@pytest.mark.slow
def test_haze_and_darkness_given_to_a_model_for_rain(tiny: LoadedModel, shared: Path) -> None:
    """Real pictures; measured over all of them: areas 0.97 for haze and 1.00 for low light, 10 % false alarms."""
    sides = split(read_data(shared / "data" / "test", tasks=(Task.DERAIN, Task.DEHAZE, Task.LOWLIGHT)))
    rule = calibrate_guard(tiny, sides.choosing.of([Task.DERAIN]))
    assert isinstance(rule, GuardRule)
    judging = subset(sides.judging, 6)
    rows = {row.task: row for row in judge_guard(tiny, rule, judging, [Task.DERAIN]).by_task}
    assert rows[Task.LOWLIGHT].area == rows[Task.LOWLIGHT].alarms == 1
    haze = rows[Task.DEHAZE]
    assert haze.area is not None
    assert haze.area >= 0.9
    assert haze.alarms >= 0.8
    assert rows[Task.DERAIN].alarms <= 0.35
