"""What beats what, and what is picked, on numbers that can be checked by eye."""

from __future__ import annotations

import pytest

from moceir_edge.errors import InputError
from moceir_edge.frontiers.choosing import Ceiling, Measure, Measures, beaten, pick, refusal


def point(latency_ms: float, loss_db: float, *, size_mib: float = 1.0, memory_mib: float | None = 100.0) -> Measures:
    """A point by what is compared."""
    return Measures(latency_ms=latency_ms, size_mib=size_mib, memory_mib=memory_mib, loss_db=loss_db)


POINTS = {
    "whole": point(100, 0.0, size_mib=4.0),
    "int8": point(90, 0.1, size_mib=1.0, memory_mib=None),
    "slow": point(110, 0.2, size_mib=0.9),
    "half": point(60, 1.0, size_mib=2.0, memory_mib=80),
    "worse": point(60, 1.5, size_mib=2.0),
    "quarter": point(40, 3.0, size_mib=1.1, memory_mib=60),
}


def test_a_point_is_beaten_by_one_that_is_no_slower_and_loses_no_more() -> None:
    """Named is what loses least of those that beat it; the others are the frontier."""
    assert beaten(POINTS) == {"slow": "whole", "worse": "half"}


def test_equal_points_do_not_beat_each_other() -> None:
    """Neither is better in anything."""
    assert beaten({"a": point(1, 1), "b": point(1, 1)}) == {}
    assert beaten({"a": point(1, 1), "b": point(1, 0.5)}) == {"a": "b"}


@pytest.mark.parametrize(
    ("measure", "limit", "name"),
    [
        (Measure.LATENCY_MS, 1000, "whole"),
        (Measure.LATENCY_MS, 90, "int8"),
        (Measure.LATENCY_MS, 89.9, "half"),
        (Measure.LATENCY_MS, 30, None),
        (Measure.SIZE_MIB, 1.1, "int8"),
        (Measure.SIZE_MIB, 0.95, "slow"),
        (Measure.MEMORY_MIB, 80, "half"),
        (Measure.LOSS_DB, 1.0, "half"),
        (Measure.LOSS_DB, 0, "whole"),
    ],
)
def test_picked_is_the_least_loss_within_the_ceiling(measure: Measure, limit: float, name: str | None) -> None:
    """The fastest where the loss is limited; beaten points serve other ceilings, unknown memory serves none."""
    assert pick(POINTS, Ceiling(measure=measure, limit=limit)) == name


def test_a_bound_takes_the_place_of_the_latency() -> None:
    """Where a device is named; the ceiling says whose it is, and limits only latencies so."""
    assert point(100, 0.5).on_device(2.0) == point(2, 0.5)
    assert point(100, 0.5).on_device(None) == point(100, 0.5)
    on_board = Ceiling(measure=Measure.LATENCY_MS, limit=5, device="board")
    assert on_board.text == "5 ms of predicted bound on board"
    assert Ceiling(measure=Measure.SIZE_MIB, limit=5, device="board").text == "5 MiB"


def test_equal_losses_are_settled_by_time() -> None:
    """Nothing is slower for nothing."""
    points = {"slow": point(2, 0.5), "fast": point(1, 0.5)}
    assert pick(points, Ceiling(measure=Measure.SIZE_MIB, limit=5)) == "fast"


def test_the_refusal_names_the_nearest_point() -> None:
    """With what it takes; or that nothing is known of what is limited."""
    error = refusal(POINTS, Ceiling(measure=Measure.LATENCY_MS, limit=30))
    assert error.what == "no point is within 30 ms: the nearest, quarter, has 40 ms"
    unknown = {"a": point(1, 1, memory_mib=None)}
    assert "no point is known" in refusal(unknown, Ceiling(measure=Measure.MEMORY_MIB, limit=30)).what


def test_a_ceiling_is_one_number_that_something_could_meet() -> None:
    """None is no ceiling, a loss of nothing is one."""
    assert Ceiling.of() is None
    assert Ceiling.of(loss_db=0.0) == Ceiling(measure=Measure.LOSS_DB, limit=0)
    with pytest.raises(InputError, match="--max-latency-ms, --max-loss-db are 2 ceilings"):
        Ceiling.of(latency_ms=1.0, loss_db=1.0)
    for limit in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="no point takes at most"):
            Ceiling.of(memory_mib=limit)
