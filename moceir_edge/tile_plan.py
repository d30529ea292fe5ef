"""How large a tile may be: the largest that fits into memory, where it is known what a picture takes."""

from __future__ import annotations

from moceir_edge.errors import InputError
from moceir_edge.memory import Memory
from moceir_edge.terms import SIZE_MULTIPLE

OVERLAP = 32
"""Pixels two neighbouring tiles share."""

SMALLEST = 2 * OVERLAP + SIZE_MULTIPLE
"""A tile that is more than its overlaps."""

SEAMLESS = 384
"""Tiles below this side show: tiled against whole was 25 to 39 dB at 192 to 256 pixels, 48 dB at 384, 55 at 768."""


def plan_tile(height: int, width: int, memory: Memory, *, limit_mib: float) -> int:
    """The side of the tiles for a picture of height x width, a multiple of 8; one that covers it where that fits.

    InputError where not even the smallest tile stays below the limit.
    """
    rows, columns = (side + -side % SIZE_MULTIPLE for side in (height, width))

    def needed_mib(side: int) -> float:
        return memory.needed_mib(min(side, rows), min(side, columns))

    whole = max(SMALLEST, rows, columns)
    fitting = [side for side in range(SMALLEST, whole + 1, SIZE_MULTIPLE) if needed_mib(side) <= limit_mib]
    if not fitting:
        raise InputError(
            f"tiles of {SMALLEST} pixels take {needed_mib(SMALLEST):.0f} MiB, and {limit_mib:.0f} MiB are allowed",
            "raise --memory, or free some memory",
        )
    return fitting[-1]
