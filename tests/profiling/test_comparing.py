"""What is compared, by which times, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import InputError
from moceir_edge.profiling.comparing import PROCESSOR, WALL, compare, compare_pairs, read_side
from moceir_edge.profiling.deciding import Decision
from moceir_edge.profiling.table import compared_text
from tests.profiling.results import result

ALONE: Any = np.random.default_rng(0).normal(10, 0.1, 100)
YARDSTICK = [0.5] * 100
OTHERS = "others at work: they used 50% of all cores"


def timed(wall: float, processor: float, *, invalid: tuple[str, ...] = (), **changes: Any) -> ProfileResult:
    """A result whose runs take so many times ten milliseconds."""
    work, measure = ALONE * processor, YARDSTICK
    return result(list(ALONE * wall), cpu_ms=list(work), yardstick_ms=measure, invalid=invalid, **changes)


def test_a_slower_artifact_is_called_slower() -> None:
    """And a faster one faster, the same one equal; the ratio is B / A."""
    for factor, expected in ((1.1, Decision.SLOWER), (0.9, Decision.FASTER), (1.0, Decision.EQUAL)):
        found = compare([timed(1, 1)], [timed(factor, factor, artifact="c")])
        assert found.decision is expected
        assert all(one.ratio.value == pytest.approx(factor, rel=0.01) for one in found.comparisons)
        assert found.artifacts == ("a" * 64, "c" * 64)


def test_where_others_were_at_work_processor_time_decides() -> None:
    """Wall-clock time doubled because of them is no difference between the models."""
    found = compare([timed(1, 1)], [timed(2, 1, invalid=(OTHERS,))])
    assert (found.decision, found.by, found.disturbed) == (Decision.EQUAL, PROCESSOR, True)
    assert [one.by for one in found.comparisons] == [PROCESSOR]
    text = compared_text(found)
    assert f"warning: B is invalid: {OTHERS}" in text
    assert "wall-clock times say more of them than of the model: not compared" in text


def test_a_gpu_is_compared_by_the_wall_clock() -> None:
    """A result without processor times."""
    found = compare([result(list(ALONE))], [result(list(ALONE * 1.2))])
    assert (found.decision, found.by) == (Decision.SLOWER, WALL)


def test_where_the_two_kinds_of_time_disagree_it_is_said() -> None:
    """Runs in turns of which one waits."""
    found = compare_pairs([(timed(1, 1), timed(1.3, 1))])
    assert len(found.comparisons) == 2
    assert {one.decision for one in found.comparisons} == {Decision.SLOWER, Decision.EQUAL}
    assert found.decision is Decision.UNDECIDED
    assert compared_text(found).startswith("undecided: they contradict each other, at 95 % confidence, by wall-clock")
    assert any("it waits more or less than A" in warning for warning in found.warnings)


def test_undecided_says_what_to_do() -> None:
    """Times that jump about."""
    wild = 10 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.15, 100)))
    found = compare([result(list(wild))], [result(list(wild[::-1]))])
    assert found.decision is Decision.UNDECIDED
    assert "use --against to run both in turns" in compared_text(found)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"size": (32, 64)}, "of two sizes: 64x64 and 64x32"),
        ({"model": "another board"}, "of two devices: board .* and another board"),
        ({"threads": 2}, "of two runtimes"),
        ({"runner": "android"}, "of two runners: python and android"),
    ],
)
def test_what_differs_in_more_than_the_artifact_is_refused(other: dict[str, Any], says: str) -> None:
    """One line what, one line what to do."""
    with pytest.raises(InputError, match=says):
        compare([timed(1, 1)], [timed(1, 1, **other)])


def test_a_result_does_not_vouch_for_itself() -> None:
    """Given twice, on both sides or on one of them, it is refused."""
    once, other = timed(1, 1), timed(1, 1, artifact="c")
    for a, b in (([once], [once]), ([once, once], [other])):
        with pytest.raises(InputError, match=r"the result of 2026-11-26T02:02:06\+00:00 is given twice"):
            compare(a, b)


def test_processor_times_of_zero_are_left_out() -> None:
    """A clock that ticks slowly tells nothing of short runs; the wall clock decides."""
    a, b = timed(1, 0), timed(1.2, 0)
    for found in (compare([a], [b]), compare_pairs([(a, b)])):
        assert [one.by for one in found.comparisons] == [WALL]
        assert found.decision is Decision.SLOWER
    disturbed = [timed(factor, 0, invalid=(OTHERS,)) for factor in (1, 2)]
    with pytest.raises(InputError, match="too few runs to compare, or times of 0"):
        compare(disturbed[:1], disturbed[1:])


def test_a_folder_is_a_side(tmp_path: Path) -> None:
    """All results in it, of one artifact."""
    for number in (1, 2, 3):
        result().write(tmp_path / f"{number}.json")
    assert len(read_side(tmp_path)) == 3
    assert len(read_side(tmp_path / "1.json")) == 1
    result(artifact="c").write(tmp_path / "4.json")
    with pytest.raises(InputError, match="results of several artifacts"):
        read_side(tmp_path)
