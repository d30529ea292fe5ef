"""The tiles with the fewest pixels that fit into memory, and how they overlap."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moceir_edge.errors import InputError
from moceir_edge.memory import Memory
from moceir_edge.terms import SIZE_MULTIPLE
from moceir_edge.tile_plan import FAITHFUL, GRID, OVERLAP, SEAMLESS, overlap_of, plan_tile, starts

MEMORY = Memory(base_mib=100, mib_per_megapixel=1000)


SIDES = st.integers(1, 3000)


def pixels(height: int, width: int, tile: tuple[int, int]) -> int:
    """In all tiles of a picture."""
    return len(starts(height, tile[0])) * len(starts(width, tile[1])) * tile[0] * tile[1]


@settings(deadline=None)
@given(height=SIDES, width=SIDES, limit_mib=st.floats(300, 9000))
def test_no_square_that_fits_has_fewer_pixels(height: int, width: int, limit_mib: float) -> None:
    """The tile fits, is of the grid or as long as the picture, and beats every square one."""
    tile = plan_tile(height, width, MEMORY, limit_mib=limit_mib)
    rows, columns = (length + -length % SIZE_MULTIPLE for length in (height, width))
    assert MEMORY.needed_mib(*tile) <= limit_mib
    assert all(side % GRID == 0 or side == whole for side, whole in zip(tile, (rows, columns), strict=True))
    for side in range(FAITHFUL, min(rows, columns), GRID):
        if MEMORY.needed_mib(side, side) <= limit_mib:
            assert pixels(rows, columns, tile) <= pixels(rows, columns, (side, side))


@given(length=st.integers(1, 9000), side=st.integers(1, 200).map(lambda eighth: 8 * eighth))
def test_tiles_cover_a_length_and_share_what_they_give_up(length: int, side: int) -> None:
    """Neighbours are a tile less two overlaps apart, the last ones closer; 32 pixels of overlap from 256 on."""
    found = starts(length, side)
    assert found[0] == 0
    assert found[-1] == max(0, length - side)
    steps = [later - earlier for earlier, later in itertools.pairwise(found)]
    step = max(SIZE_MULTIPLE, side - 2 * overlap_of(side))
    assert all(each == step for each in steps[:-1])
    assert all(0 < each <= step for each in steps[-1:])
    assert side < 256 or side - step == 2 * OVERLAP


def test_a_picture_that_fits_stays_whole() -> None:
    """2 megapixels take 2173 MiB; with 1 MiB less they are cut in two."""
    assert plan_tile(1080, 1920, MEMORY, limit_mib=2174) == (1080, 1920)
    assert plan_tile(1080, 1920, MEMORY, limit_mib=2172) == (1080, 1024)


def test_tiles_are_even() -> None:
    """Twelve megapixels in 1 GiB: twelve tiles alike, none of which is a narrow rest; 1.11 times the pixels."""
    tile = plan_tile(3000, 4000, MEMORY, limit_mib=1200)
    tops, lefts = starts(3000, tile[0]), starts(4000, tile[1])
    assert pixels(3000, 4000, tile) / 12e6 < 1.16
    for found in (tops, lefts):
        steps = [later - earlier for earlier, later in itertools.pairwise(found)]
        assert min(steps) >= 0.8 * max(steps)


def test_tiles_that_show_are_taken_only_where_nothing_else_fits() -> None:
    """Sides below 384 would be seen; a strip of the whole width with fewer rows is not taken, either."""
    assert min(plan_tile(3000, 4000, MEMORY, limit_mib=260)) >= SEAMLESS
    assert min(plan_tile(3000, 4000, MEMORY, limit_mib=200)) < SEAMLESS


def test_no_tile_is_larger_than_what_is_served() -> None:
    """By itself memory would allow the whole picture."""
    assert plan_tile(1080, 1920, MEMORY, limit_mib=9000, most=(1088, 1088)) == (1080, 1024)
    assert plan_tile(1080, 1920, MEMORY, limit_mib=9000, most=(64, 64)) == (64, 64)


def test_too_little_memory_is_refused() -> None:
    """With what is needed and what is allowed."""
    with pytest.raises(InputError, match="tiles of 128x128 take 116 MiB, and 110 MiB are allowed"):
        plan_tile(1080, 1920, MEMORY, limit_mib=110)
    assert plan_tile(1080, 1920, MEMORY, limit_mib=117) == (128, 128)
