"""Rows of numbers, one step after the other, and their summaries."""

from __future__ import annotations

from collections.abc import Mapping
from math import log10

import numpy as np
import pytest

from moceir_edge.guarding import GuardRule, rule_from_scores
from moceir_edge.metrics import WORST_DB
from moceir_edge.network.architecture import AttentionShape, DecoderBlockShape, ExpertShape
from moceir_edge.parity.compare import REFERENCE, Row, Step, compare, summarize, worst
from moceir_edge.parity.fit import Fitted
from moceir_edge.runner import Image, Outputs
from moceir_edge.terms import Task
from tests.parity.fakes import FakeRunner, dataset, noise, plain, row, sample, score

BLOCK = DecoderBlockShape(
    shared=AttentionShape(1, 8),
    mixer=AttentionShape(1, 8),
    feed_forward=8,
    experts=(ExpertShape(2, 4), ExpertShape(2, 8), None),
    served=(0, 1, 2),
    router=True,
)
"""Three experts, of which one is served by its shortcut."""


def shifted(by: float) -> Step:
    """A step that adds a constant."""
    return Step(f"plus {by:g}", "adds", FakeRunner(lambda image: image + np.float32(by)))


def compared(
    *steps: Step,
    target: Image | None = None,
    blocks: tuple[DecoderBlockShape, ...] = (),
    rule: GuardRule | None = None,
) -> tuple[Row, ...]:
    """One grey picture; the reference adds 0.1 to it."""
    one = sample("derain/0", plain(0.5), target)
    return compare(steps, dataset(one), lambda _: plain(0.6), size=None, blocks=blocks, rule=rule)


def test_the_reference_is_the_first_row() -> None:
    """It equals itself: null in every number that would be infinite."""
    (row,) = compared(target=plain(0.6))
    (picture,) = row.pictures
    assert row.step == REFERENCE
    assert (picture.parity_db, picture.residual_snr_db, picture.quality_db) == (None, None, None)
    assert picture.input_db == pytest.approx(20.0)
    assert picture.ssim == pytest.approx(1.0)


def test_numbers_are_against_the_reference_and_the_step_before() -> None:
    """0.11 and then 0.13 instead of 0.1: errors of 0.01 and 0.03, steps of 0.01 and 0.02."""
    _, first, second = compared(shifted(0.11), shifted(0.13), target=plain(0.7))
    for found, error, step in ((first, 0.01, 0.01), (second, 0.03, 0.02)):
        (picture,) = found.pictures
        assert picture.parity_db == pytest.approx(-20 * log10(error), abs=1e-3)
        assert picture.step_parity_db == pytest.approx(-20 * log10(step), abs=1e-3)
        assert picture.residual_snr_db == pytest.approx(20 * log10(0.1 / error), abs=1e-3)
    assert first.pictures[0].quality_db == pytest.approx(-20 * log10(0.09), abs=1e-3)
    assert second.pictures[0].step_snr_db == pytest.approx(20 * log10(0.11 / 0.02), abs=1e-2)


def test_without_target_there_is_parity_but_no_quality() -> None:
    """Nothing is made up."""
    (picture,) = compared(shifted(0.11))[1].pictures
    assert picture.parity_db is not None
    assert (picture.input_db, picture.quality_db, picture.ssim) == (None, None, None)


def test_parity_is_not_clipped_and_quality_is() -> None:
    """An output of 1.2 against a white target is perfect, and 0.2 away from a reference of 1."""
    one = sample("derain/0", plain(0.9), plain(1.0))
    step = Step("bright", "", FakeRunner(lambda image: image + np.float32(0.3)))
    (picture,) = compare([step], dataset(one), lambda _: plain(1.0), size=None)[1].pictures
    assert picture.quality_db is None
    assert picture.parity_db == pytest.approx(-20 * log10(0.2), abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_no_number_is_as_far_away_as_can_be(value: float) -> None:
    """It is measured and fails its gates; it does not end the comparison."""
    scores = np.full((1, 3), value, np.float32)
    runner = FakeRunner(lambda image: image * np.float32(value), agreement=float("nan"), scores=scores)
    (picture,) = compared(Step("broken", "", runner), target=plain(0.6))[1].pictures
    assert picture.parity_db == picture.residual_snr_db == picture.step_snr_db == WORST_DB
    assert picture.quality_db is not None
    assert picture.quality_db < 10
    assert picture.agreement == 0.0


def test_only_the_picture_is_compared_not_its_padding() -> None:
    """A runner that destroys what was padded is equal to the reference."""
    image = noise(0, height=13, width=20)

    def destroy(padded: Image) -> Image:
        changed = padded.copy()
        changed[:, 13:], changed[:, :, 20:] = 9.0, 9.0
        return changed

    reference = np.pad(image, ((0, 0), (0, 3), (0, 4)))
    steps = [Step("careless", "", FakeRunner(destroy))]
    (picture,) = compare(steps, dataset(sample("derain/0", image)), lambda _: reference, size=None)[1].pictures
    assert picture.parity_db is None


def with_scores(*scores: list[float]) -> FakeRunner:
    """A runner whose layers score like this."""
    return FakeRunner(lambda image: image, scores=np.array(scores, np.float32))


@pytest.mark.parametrize(
    ("second", "same"),
    [
        ([[0.5, 0.4, 0.1], [0.8, 0.1, 0.1]], 1.0),
        ([[0.4, 0.5, 0.1], [0.8, 0.1, 0.1]], 0.5),
        ([[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]], 0.0),
    ],
)
def test_same_routes_is_the_share_of_layers_that_compute_the_same(second: list[list[float]], same: float) -> None:
    """The first step has nothing to be compared with; the reference does not say its scores."""
    steps = (
        Step("a", "", with_scores([0.6, 0.3, 0.1], [0.7, 0.2, 0.1])),
        Step("b", "", with_scores(*second)),
    )
    _, first, last = compared(*steps, blocks=(BLOCK, BLOCK))
    assert first.pictures[0].same_routes is None
    assert last.pictures[0].same_routes == same


@pytest.mark.parametrize(
    ("score", "same"),
    [(0.60, True), (0.30, False), (float("nan"), False)],
)
def test_the_guard_says_the_same(score: float, same: bool) -> None:
    """Of scores within its limit, beyond it, and of none."""
    steps = (Step("a", "", with_scores([0.6, 0.4])), Step("b", "", with_scores([score, 1 - score])))
    rule = rule_from_scores([np.array([[p, 1 - p]], np.float32) for p in (0.58, 0.6, 0.61, 0.63)], list("abcd"))
    assert isinstance(rule, GuardRule)
    _, first, last = compared(*steps, rule=rule)
    assert first.pictures[0].same_verdict is None
    assert last.pictures[0].same_verdict is same


def test_a_picture_on_the_limit_may_fall_on_either_side() -> None:
    """Its distance moved by less than a tenth of the limit."""
    rule = GuardRule(
        pictures=((0.0,),), neighbours=1, floor=1e-3, threshold=0.5, false_alarms=0.05, left_out_false_alarms=None
    )
    inside, outside, beyond = (with_scores([float(np.exp(-distance))]) for distance in (0.48, 0.52, 0.54))
    _, _, near, far = compared(
        Step("a", "", inside), Step("b", "", outside), Step("c", "", beyond, against="a"), rule=rule
    )
    assert near.pictures[0].same_verdict is True
    assert far.pictures[0].same_verdict is False


def test_every_step_is_handed_out_for_pictures() -> None:
    """The report shows what was measured, without running it again."""
    seen: list[tuple[Fitted, Mapping[str, Outputs]]] = []
    one = sample("derain/0", plain())
    compare([shifted(0.1)], dataset(one), lambda _: plain(), size=None, on_picture=lambda *given: seen.append(given))
    ((fitted, outputs),) = seen
    assert fitted.sample is one
    assert list(outputs) == [REFERENCE, "plus 0.1"]


def test_summary_pairs_losses_and_keeps_the_worst() -> None:
    """Means over a task's pictures; the worst one by itself."""
    rows = (
        row(REFERENCE, score("derain/0", quality_db=30.0), score("derain/1", quality_db=34.0)),
        row(
            "slim",
            score("derain/0", quality_db=29.5, parity_db=60.0),
            score("derain/1", quality_db=33.9, parity_db=50.0),
        ),
    )
    summary = summarize(rows)[1]
    assert (summary.step, summary.task, summary.set_name, summary.n) == ("slim", Task.DERAIN, None, 2)
    assert summary.reference_db == 32.0
    assert summary.loss_db is not None
    assert summary.loss_db.mean == pytest.approx(0.3)
    assert summary.worst_loss_db == pytest.approx(0.5)
    assert summary.worst_parity_db == 50.0


def test_equal_pictures_are_null_in_a_summary() -> None:
    """No infinity reaches JSON."""
    rows = (row(REFERENCE, score(quality_db=None, input_db=None)), row("slim", score(quality_db=None)))
    summary = summarize(rows)[1]
    assert (summary.worst_parity_db, summary.quality_db, summary.loss_db, summary.worst_loss_db) == (None,) * 4
    assert "Infinity" not in summary.model_dump_json()


def test_sets_of_a_task_are_listed_where_there_are_several() -> None:
    """The task first, then each of its sets; a task of one set has one line."""
    pictures = [score("derain_a/0"), score("derain_b/0"), score("dehaze/0", task=Task.DEHAZE)]
    found = [(s.task, s.set_name, s.n) for s in summarize((row(REFERENCE, *pictures),))]
    assert found == [
        (Task.DERAIN, None, 2),
        (Task.DERAIN, "derain_a", 1),
        (Task.DERAIN, "derain_b", 1),
        (Task.DEHAZE, None, 1),
    ]


def test_worst_passes_over_equal_pictures() -> None:
    """Null is better than any number."""
    assert worst([None, 50.0, 40.0]) == 40.0
    assert worst([None, None]) is None
