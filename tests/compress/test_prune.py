"""Plans on plain numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from moceir_edge.compress.prune import PruningPlan, plan_pruning
from moceir_edge.errors import GateError, PlanError
from moceir_edge.network.architecture import SIZES
from moceir_edge.routing.evidence import Evidence
from moceir_edge.routing.observe import Observation, Observed
from moceir_edge.routing.relevance import EVERYWHERE, Change, LayerRelevance, Relevance
from moceir_edge.routing.routing import Routing
from moceir_edge.terms import GateMode, Task

TINY = SIZES["tiny"]
LAYERS = TINY.layers
GATE = 0.4
Losses = Mapping[tuple[Task, str], float | None]


def pictures_of(task: Task, counts: Mapping[int, int], *, layer: int) -> list[Observed]:
    """Pictures whose first choice in `layer` is each expert so often, and expert 0 in all other layers."""
    choices = [expert for expert, count in counts.items() for _ in range(count)]
    return [_observed(task, [choice if index == layer else 0 for index in range(5)]) for choice in choices]


def _observed(task: Task, choices: list[int]) -> Observed:
    rest = (1 - GATE) / 3
    rows = tuple(tuple(GATE if index == choice else rest for index in range(4)) for choice in choices)
    common: dict[str, Any] = {"name": "x", "set_name": "x", "digest": "00", "task": task}
    return Observed(**common, routes=tuple(choices), gates=(GATE,) * 5, margins=(GATE - rest,) * 5, scores=rows)


def relevance_of(losses: Losses) -> Relevance:
    """Without any expert a layer loses so much; None where it was not measured."""
    rows = [
        LayerRelevance(
            task=task,
            layer=layer,
            changes=(
                Change(replacement=0, n=1, mean_db=-0.3, worst_db=-0.5, parity_db=50.0),
                Change(replacement=None, n=4, mean_db=None if loss is None else -loss, worst_db=None, parity_db=60.0),
            ),
        )
        for (task, layer), loss in losses.items()
    ]
    return Relevance(crop=256, per_task=4, pictures=(), layers=tuple(rows))


def routing_of(*pictures: Observed, losses: Losses | None = None) -> Routing:
    """A routing of choosing pictures alone."""
    empty = Observation(layers=LAYERS, experts=4, pictures=())
    return Routing(
        model_sha256="m",
        choosing_sha256="c",
        judging_sha256="j",
        choosing=Observation(layers=LAYERS, experts=4, pictures=pictures),
        judging=empty,
        evidence=Evidence(uses=(), agreements=()),
        versions={},
        relevance=None if losses is None else relevance_of(losses),
    )


RAIN = pictures_of(Task.DERAIN, {1: 90, 2: 8, 3: 2}, layer=0)


def planned(*pictures: Observed, losses: Losses | None = None, **options: Any) -> PruningPlan:
    """A plan for derain, unless told otherwise."""
    return plan_pruning(routing_of(*pictures, losses=losses), TINY, **{"tasks": [Task.DERAIN], **options})


@pytest.mark.parametrize(
    ("coverage", "kept", "reached"), [(0.9, (1,), 0.9), (0.91, (1, 2), 0.98), (0.99, (1, 2, 3), 1.0), (1, (1, 2, 3), 1)]
)
def test_experts_are_kept_in_the_order_of_use(coverage: float, kept: tuple[int, ...], reached: float) -> None:
    """The most used ones, until the coverage is reached and no further."""
    plan = planned(*RAIN, coverage=coverage)
    assert plan.layers[0].kept == plan.layers[0].served == kept
    assert plan.layers[0].coverage == pytest.approx(reached)
    assert plan.layers[0].counts == {Task.DERAIN: (0, 90, 8, 2)}
    assert plan.layers[1].kept == (0,)
    assert plan.expected_coverage == pytest.approx(reached)
    assert plan.n == {Task.DERAIN: 100}


def test_every_task_is_covered() -> None:
    """A small task is not outvoted by a large one; what each reaches is counted by itself."""
    haze = pictures_of(Task.DEHAZE, {3: 4}, layer=0)
    plan = planned(*RAIN, *haze, tasks=[Task.DERAIN, Task.DEHAZE], coverage=0.9)
    assert plan.layers[0].kept == (1, 3)
    assert plan.layers[0].coverage == pytest.approx(0.92)
    assert planned(*RAIN, *haze, coverage=0.9).layers[0].kept == (1,)


def test_one_expert_can_be_forced() -> None:
    """`--max-experts 1` keeps one whatever that leaves, and the plan shows what."""
    losses = {(Task.DERAIN, layer): 0.5 for layer in LAYERS}
    split_use = pictures_of(Task.DERAIN, {0: 6, 1: 4}, layer=0)
    plan = planned(*split_use, losses=losses, max_experts=1)
    assert plan.layers[0].kept == (0,)
    assert plan.expected_coverage == pytest.approx(0.6)
    assert "below the 99.0% asked for" in plan.layers[0].reason
    assert "taking it changes the others by -0.300 dB" in plan.layers[0].reason


def test_an_expert_that_is_not_needed_goes() -> None:
    """Where the shortcut alone loses nothing, no expert stays, however much the experts are used."""
    losses = {(Task.DERAIN, layer): 0.001 if layer == LAYERS[0] else 0.02 for layer in LAYERS}
    plan = planned(*RAIN, losses=losses)
    assert plan.layers[0].kept == ()
    assert plan.layers[0].served == (0, 1, 2, 3)
    assert plan.layers[0].coverage == 1.0
    assert "no expert: the shortcut alone changes the PSNR by -0.0010 dB" in plan.layers[0].reason
    assert all(layer.kept == (0,) for layer in plan.layers[1:])
    assert planned(*RAIN, losses=losses, allow_none=False).layers[0].kept == (1, 2, 3)


@pytest.mark.parametrize("loss", [None, 0.011])
def test_an_expert_that_one_task_may_need_stays(loss: float | None) -> None:
    """One task that loses, or was not measured, keeps the experts of a layer."""
    haze = pictures_of(Task.DEHAZE, {0: 4}, layer=0)
    losses: Losses = {(Task.DERAIN, LAYERS[0]): 0.0, (Task.DEHAZE, LAYERS[0]): loss}
    plan = planned(*RAIN, *haze, losses=losses, tasks=[Task.DERAIN, Task.DEHAZE], coverage=0.9)
    assert plan.layers[0].kept == (0, 1)


def test_small_losses_are_not_added_up_beyond_the_gate() -> None:
    """Five layers that lose 0.009 dB each: four of them may."""
    losses = {(Task.DERAIN, layer): 0.009 for layer in LAYERS}
    plan = planned(*RAIN, losses={**losses, (Task.DERAIN, EVERYWHERE): 0.06})
    assert [layer.kept for layer in plan.layers].count(()) == 4
    assert plan.without_experts_db == {Task.DERAIN: pytest.approx(-0.06)}


def test_a_folded_gate_is_the_mean_over_the_pictures() -> None:
    """Also where the shortcut stands for all experts."""
    losses = {(Task.DERAIN, layer): 0.001 if layer == LAYERS[0] else 0.02 for layer in LAYERS}
    plan = planned(*RAIN, losses=losses, gate=GateMode.FOLDED, guard=False)
    assert [layer.mean_gate for layer in plan.layers] == pytest.approx([GATE] * 5)
    forced = planned(*RAIN, max_experts=1, gate=GateMode.FOLDED)
    assert forced.layers[0].mean_gate == pytest.approx(0.9 * GATE + 0.1 * (1 - GATE) / 3)
    assert planned(*RAIN).layers[0].mean_gate is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coverage": 0.0}, "coverage 0 is out of range; give a number above 0 and at most 1"),
        ({"coverage": 1.5}, "coverage 1.5 is out of range"),
        ({"max_experts": 0}, "0 experts for each layer are too few"),
        ({"tasks": []}, "no task to keep"),
        ({"tasks": [Task.DESNOW]}, "no choosing pictures of desnow; observe some; it has them of derain"),
        ({"guard": False}, "an exact gate needs the routers"),
        (
            {"gate": GateMode.FOLDED},
            f"layer {LAYERS[0]} keeps experts 1, 2, 3, and a folded gate can weigh only one; ask for --gate exact or",
        ),
    ],
)
def test_impossible_requests_are_named(options: dict[str, Any], message: str) -> None:
    """What was given, what is allowed, what to do."""
    with pytest.raises(PlanError, match=re.escape(message)):
        planned(*RAIN, **options)


def test_a_coverage_that_needs_no_expert_is_refused() -> None:
    """If the coverage holds without any single expert, the choice would be arbitrary."""
    pictures = pictures_of(Task.DERAIN, {0: 45, 1: 30, 2: 25}, layer=2)
    expected = (
        f"layer {LAYERS[2]} would keep 0 of 4 experts for task 'derain' (coverage 0.30); raise --coverage above 0.55"
    )
    with pytest.raises(PlanError) as caught:
        planned(*pictures, coverage=0.3)
    assert str(caught.value) == expected
    assert planned(*pictures, coverage=0.56).layers[2].kept == (0, 1)


def test_a_plan_that_drops_nothing_is_no_plan() -> None:
    """Exit 3, with the reason."""
    everything = [_observed(Task.DERAIN, [expert] * 5) for expert in range(4)]
    with pytest.raises(GateError, match=r"drops nothing: at coverage 0\.99 derain need every expert") as caught:
        planned(*everything)
    assert caught.value.exit_code == 3


def test_another_network_is_refused() -> None:
    """A routing names the layers it was observed on."""
    with pytest.raises(PlanError, match="observed on another network"):
        plan_pruning(routing_of(*RAIN), SIZES["S"], tasks=[Task.DERAIN])


def test_equal_numbers_give_equal_plans() -> None:
    """Planning is deterministic, and a plan survives JSON."""
    plan = planned(*RAIN)
    assert plan == planned(*RAIN)
    assert PruningPlan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.text.splitlines()[0] == "drops 13 experts for derain (100 pictures); coverage 1.000, gate exact"
    assert len(plan.text.splitlines()) == 6


def test_judging_pictures_do_not_choose() -> None:
    """What the judging side wants changes nothing."""
    routing = routing_of(*RAIN)
    judged = routing.model_copy(
        update={"judging": routing.choosing.model_copy(update={"pictures": (_observed(Task.DERAIN, [0] * 5),)})}
    )
    assert plan_pruning(judged, TINY, tasks=[Task.DERAIN]).layers == planned(*RAIN).layers
