"""What counted routes say, on plain numbers."""

from __future__ import annotations

import pytest

from moceir_edge.routing.evidence import coverage, evidence_bound, gather_evidence, use_of_layer
from moceir_edge.routing.observe import Observation, Observed
from moceir_edge.terms import Task


def observed(task: Task, *choices: int, score: float = 0.7) -> Observed:
    """A picture whose first choice in each layer is given; the other two experts share the rest."""
    rest = (1 - score) / 2
    return Observed(
        name=f"{task}/x",
        task=task,
        set_name=task,
        digest="00",
        routes=choices,
        gates=(score,) * len(choices),
        margins=(score - rest,) * len(choices),
        scores=tuple(tuple(score if index == choice else rest for index in range(3)) for choice in choices),
    )


def observation(*pictures: Observed) -> Observation:
    """Two layers of three experts."""
    return Observation(layers=("dec.0", "dec.1"), experts=3, pictures=pictures)


RAIN_AND_HAZE = observation(
    observed(Task.DERAIN, 0, 1),
    observed(Task.DERAIN, 0, 1, score=0.5),
    observed(Task.DERAIN, 0, 2),
    observed(Task.DERAIN, 1, 2),
    observed(Task.DEHAZE, 1, 1),
    observed(Task.DEHAZE, 1, 0),
)


def test_use_counts_first_choices() -> None:
    """Counts, gates and margins of one task in one layer."""
    use = use_of_layer(RAIN_AND_HAZE, Task.DERAIN, 0)
    assert use.counts == (3, 1, 0)
    assert use.shares == (0.75, 0.25, 0.0)
    assert use.most_used == 0
    assert use.mean_gates[0] == pytest.approx((0.7 + 0.5 + 0.7) / 3)
    assert use.mean_gates[2] is None
    assert use.min_margin == pytest.approx(0.25)
    assert use.mean_margin == pytest.approx((3 * 0.55 + 0.25) / 4)


def test_agreement_of_two_tasks() -> None:
    """One minus the total variation distance, and whether both use one expert most."""
    rows = {row.layer: row for row in gather_evidence(RAIN_AND_HAZE).agreements}
    assert (rows["dec.0"].overlap, rows["dec.0"].same_most_used) == (0.25, False)
    assert (rows["dec.1"].overlap, rows["dec.1"].same_most_used) == (0.5, False)
    assert len(rows) == 2


def test_coverage_is_that_of_the_worst_task() -> None:
    """The share of pictures whose first choice stays, for each layer the lowest over the tasks."""
    kept = [(0,), (1, 2)]
    assert coverage(RAIN_AND_HAZE, [Task.DERAIN], kept) == (0.75, 1.0)
    assert coverage(RAIN_AND_HAZE, [Task.DERAIN, Task.DEHAZE], kept) == (0.0, 0.5)


def test_the_bound_counts_pictures_not_layers() -> None:
    """A picture that wants two dropped experts is one event; no pictures prove nothing."""
    bound = evidence_bound(RAIN_AND_HAZE, [Task.DERAIN], [(0,), (1,)])
    assert (bound.events, bound.n) == (2, 4)
    assert evidence_bound(RAIN_AND_HAZE, [Task.LOWLIGHT], [(0,), (1,)]).share_below == 1.0
    assert "2 of 4 pictures wanted a dropped expert" in bound.text
    assert bound.layers == 2


def test_layers_that_serve_every_route_have_no_such_risk() -> None:
    """Where the shortcut stands for all experts, the text does not claim a proof from counts."""
    bound = evidence_bound(RAIN_AND_HAZE, [Task.DERAIN], [(0, 1, 2), (0, 1, 2)])
    assert (bound.events, bound.layers) == (0, 0)
    assert "the shortcut serves them all" in bound.text


@pytest.mark.parametrize(("n", "expected"), [(31, 0.0921), (299, 0.00997)])
def test_no_event_still_leaves_a_risk(n: int, expected: float) -> None:
    """0 of 31 is 9 %, and 1 % needs 299 pictures."""
    pictures = observation(*(observed(Task.DERAIN, 0, 1) for _ in range(n)))
    bound = evidence_bound(pictures, [Task.DERAIN], [(0,), (1,)])
    assert bound.share_below == pytest.approx(expected, rel=1e-3)
    assert bound.n == n


def test_evidence_survives_json() -> None:
    """What was written is what is read."""
    evidence = gather_evidence(RAIN_AND_HAZE)
    assert type(evidence).model_validate_json(evidence.model_dump_json()) == evidence
