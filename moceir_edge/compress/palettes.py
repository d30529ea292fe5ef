"""Palettes: weights as indices into a table of a few values, found by k-means in one dimension.

Core ML looks the values up: 16 of them make 4 bits a weight, 64 make 6. From iOS 18 on there may be a table for each
block of output channels, before it one for the whole tensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moceir_edge.program.program import Constant

CHANNELS = 16
"""Output channels that share a table, at least: in 4 bits a table takes 32 bytes, a channel of 64 inputs as many."""

_ROUNDS = 200
"""Of k-means at most; each is one pass over sorted values, and none of them is random."""

_SETTLED = 1e-6
"""Change of the entries, beside the spread of the values, at which it ends."""


def blocks_of(channels: int) -> int:
    """How many tables a tensor of so many output channels gets: blocks are equal, of `CHANNELS` or a little more."""
    return next(count for count in range(max(1, channels // CHANNELS), 0, -1) if channels % count == 0)


def tables_of(weight: Constant, *, entries: int, blocks: int, half: bool) -> Constant:
    """(blocks, entries), each table in rising order; weight: (O, I/groups, k, k); half: entries are float16 numbers."""
    parts = weight.reshape(blocks, -1).astype(np.float64)
    tables = np.stack([_clustered(part, entries) for part in parts])
    return np.sort(tables.astype(np.float16 if half else np.float32).astype(np.float32))


def indices_of(weight: Constant, tables: Constant) -> NDArray[np.uint8]:
    """The entry next to each weight, in the weight's shape."""
    parts = weight.reshape(len(tables), -1)
    found = [_nearest(part, table) for part, table in zip(parts, tables, strict=True)]
    return np.stack(found).reshape(weight.shape).astype(np.uint8)


def looked_up(indices: NDArray[np.uint8], tables: Constant) -> Constant:
    """The weights that indices stand for."""
    parts = indices.reshape(len(tables), -1)
    return np.stack([table[part] for part, table in zip(parts, tables, strict=True)]).reshape(indices.shape)


def _nearest(values: NDArray[np.floating], table: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.searchsorted((table[1:] + table[:-1]) / 2, values)


def _clustered(values: NDArray[np.float64], entries: int) -> NDArray[np.float64]:
    """Lloyd's rule on sorted values, from a start between equal counts and equal distances: the tails matter too."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    middle = (np.arange(entries) + 0.5) / entries
    equal = ordered[0] + (ordered[-1] - ordered[0]) * middle
    table = (np.quantile(ordered, middle) + equal) / 2
    for _ in range(_ROUNDS):
        ends = np.concatenate([[0], np.searchsorted(ordered, (table[1:] + table[:-1]) / 2), [len(ordered)]])
        counts = np.diff(ends)
        moved = np.where(counts > 0, np.diff(sums[ends]) / np.maximum(counts, 1), table)
        settled = np.abs(moved - table).max() <= _SETTLED * max(ordered[-1] - ordered[0], 1e-30)
        table = moved
        if settled:
            break
    return table
