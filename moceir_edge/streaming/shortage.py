"""When memory runs out while a tile is restored: recognized, whoever says so, and answered with a smaller tile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from moceir_edge.errors import InputError
from moceir_edge.terms import SIZE_MULTIPLE
from moceir_edge.tile_plan import GRID, SMALLEST, Size

Result = TypeVar("Result")

_SAID = re.compile(
    r"out of memory|bad_alloc|bad allocation|allocate memory|alloc_cpu|failed to allocate", re.IGNORECASE
)
"""PyTorch: "DefaultCPUAllocator: can't allocate memory", "CUDA out of memory"; ONNX Runtime: "Failed to allocate memory
for requested buffer of size", "std::bad_alloc"."""


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory could not be had."""
    return isinstance(error, MemoryError) or (isinstance(error, Exception) and bool(_SAID.search(str(error))))


def halved(tile: Size) -> Size | None:
    """Half the pixels: the longer side goes down to a multiple of 64; None where it is as small as tiles get."""
    longer, shorter = max(tile), min(tile)
    side = max(SMALLEST, longer // 2 // GRID * GRID)
    if side >= longer:
        return None
    side -= side % SIZE_MULTIPLE
    return (side, shorter) if tile[0] == longer else (shorter, side)


def within_memory(
    attempt: Callable[[Size], Result], tile: Size, *, fixed: bool, say: Callable[[str], None]
) -> tuple[Result, Size]:
    """What `attempt` gives with a tile, or with the largest half of it for which memory suffices, and that tile.

    fixed: whether only this size is served. InputError where memory is short for the smallest one.
    """
    while True:
        try:
            return attempt(tile), tile
        except Exception as error:
            if not is_shortage(error):
                raise
            smaller = None if fixed else halved(tile)
            if smaller is None:
                raise InputError(
                    f"memory is short even for tiles of {tile[1]}x{tile[0]} pixels", "free some memory"
                ) from error
        say(f"memory is short for tiles of {tile[1]}x{tile[0]}: going on with {smaller[1]}x{smaller[0]}")
        tile = smaller
