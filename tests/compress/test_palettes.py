"""Palettes: nearly the best there are, the same each time, and what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.compress.palettes import blocks_of, indices_of, looked_up, tables_of


def drawn(*shape: int, tails: bool = False) -> np.ndarray:
    """Weights as of a trained layer, with or without a few that are far larger than the others."""
    generator = np.random.default_rng(4)
    return (generator.standard_t(3, shape) if tails else generator.standard_normal(shape)).astype(np.float32)


def best_error(values: np.ndarray, entries: int) -> float:
    """The least sum of squares that any palette leaves, by dynamic programming over sorted values."""
    ordered = np.sort(values.astype(np.float64))
    sums, squares = (np.concatenate([[0], np.cumsum(ordered**power)]) for power in (1, 2))
    starts, ends = np.arange(len(ordered))[:, None], np.arange(1, len(ordered) + 1)[None]
    counts = np.maximum(ends - starts, 1)
    spread = squares[ends] - squares[starts] - (sums[ends] - sums[starts]) ** 2 / counts
    spread[ends <= starts] = np.inf
    best = spread[0]
    for _ in range(entries - 1):
        longer = [(best[:end] + spread[1 : end + 1, end]).min(initial=np.inf) for end in range(len(ordered))]
        best = np.minimum(best, longer)
    return float(best[-1])


@pytest.mark.parametrize("tails", [False, True])
@pytest.mark.parametrize("entries", [4, 16])
def test_palette_is_nearly_the_best_there_is(entries: int, tails: bool) -> None:
    """Its error is at most 0.8 dB above that of the best palette, which takes a hundred times as long to find."""
    weight = drawn(8, 40, 1, 1, tails=tails)
    tables = tables_of(weight, entries=entries, blocks=1, half=False)
    error = np.square(looked_up(indices_of(weight, tables), tables) - weight).sum()
    assert error <= 10**0.08 * best_error(weight.ravel(), entries)


def test_few_values_are_kept_as_they_are() -> None:
    """A weight of three values needs no more of a palette of 16, and loses nothing."""
    weight = np.random.default_rng(0).choice(np.array([-0.5, 0.0, 2.0], np.float32), (16, 8, 3, 3))
    tables = tables_of(weight, entries=16, blocks=1, half=True)
    np.testing.assert_array_equal(looked_up(indices_of(weight, tables), tables), weight)


def test_equal_weights_give_no_division_by_zero() -> None:
    """A layer that was never trained, all zeros, stays so."""
    weight = np.zeros((16, 8, 1, 1), np.float32)
    tables = tables_of(weight, entries=64, blocks=1, half=True)
    assert not looked_up(indices_of(weight, tables), tables).any()


@pytest.mark.parametrize(("channels", "blocks"), [(3, 1), (16, 1), (32, 2), (96, 6), (51, 3), (97, 1), (340, 20)])
def test_blocks_are_equal_and_not_too_small(channels: int, blocks: int) -> None:
    """Core ML wants blocks that divide the channels; each has 16 or more."""
    assert blocks_of(channels) == blocks
    assert channels % blocks == 0
