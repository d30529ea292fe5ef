"""The largest tile that fits into memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moceir_edge.errors import InputError
from moceir_edge.memory import Memory
from moceir_edge.terms import SIZE_MULTIPLE
from moceir_edge.tile_plan import SMALLEST, plan_tile

MEMORY = Memory(base_mib=100, mib_per_megapixel=1000)


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), limit_mib=st.floats(110, 9000))
def test_the_largest_that_stays_below_the_limit(height: int, width: int, limit_mib: float) -> None:
    """A multiple of 8 whose memory fits, while a step more does not, or is not needed."""
    side = plan_tile(height, width, MEMORY, limit_mib=limit_mib)
    rows, columns = (length + -length % SIZE_MULTIPLE for length in (height, width))
    assert side % SIZE_MULTIPLE == 0
    assert MEMORY.needed_mib(min(side, rows), min(side, columns)) <= limit_mib
    more = side + SIZE_MULTIPLE
    assert side >= max(rows, columns) or MEMORY.needed_mib(min(more, rows), min(more, columns)) > limit_mib


def test_a_picture_that_fits_stays_whole() -> None:
    """2 megapixels take 2173 MiB; with 1 MiB less they are cut."""
    assert plan_tile(1080, 1920, MEMORY, limit_mib=2174) == 1920
    assert plan_tile(1080, 1920, MEMORY, limit_mib=2172) < 1920


def test_too_little_memory_is_refused() -> None:
    """With what is needed and what is allowed."""
    with pytest.raises(InputError, match="tiles of 72 pixels take 105 MiB, and 104 MiB are allowed"):
        plan_tile(1080, 1920, MEMORY, limit_mib=104)
    assert plan_tile(1080, 1920, MEMORY, limit_mib=106) == SMALLEST
