"""How a picture is cut: which tile fits into memory, where it is known what a picture takes, and how tiles overlap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from moceir_edge.errors import InputError
from moceir_edge.memory import Memory
from moceir_edge.terms import SIZE_MULTIPLE

OVERLAP = 32
"""Pixels that a tile gives up to each neighbour: tiles are 2 x 32 less apart than they are long."""

GRID = 64
"""Sides of planned tiles are multiples of this, so that tiles start where the experts' windows of 32 pixels at half
resolution start in the whole picture, too."""

SMALLEST = 128
"""The least side of a planned tile: half of it is overlap."""

SEAMLESS = 384
"""Tiles below this side show: tiled against whole was 25 to 39 dB at 192 to 256 pixels, 48 dB at 384, 55 at 768."""

FAITHFUL = 640
"""Planned tiles have at least this side where they can: a street of 1280x720 was 38 dB from the whole in tiles of 512,
53 in tiles of 768 and 52 in tiles of 704x720."""

Size = tuple[int, int]
"""Height and width."""


def overlap_of(side: int) -> int:
    """What a tile of this side gives up at each end; small ones, which a fixed size may force, an eighth."""
    return min(OVERLAP, side // 8)


def starts(length: int, side: int) -> list[int]:
    """Starts of tiles that cover a length, the last one flush with its end."""
    if length <= side:
        return [0]
    step = max(SIZE_MULTIPLE, side - 2 * overlap_of(side))
    return [*range(0, length - side, step), length - side]


def plan_tile(height: int, width: int, memory: Memory, *, limit_mib: float, most: Size | None = None) -> Size:
    """The tile for a picture of height x width: fewest pixels in all tiles; the picture itself where that fits.

    memory: what a picture takes beside `limit_mib`; most: the largest tile that is served, None where memory alone
    ends it. Sides are multiples of 64, or the padded picture's. Small tiles are taken only where no others fit.
    InputError where not even the smallest tile stays below the limit.
    """
    rows, columns = (side + -side % SIZE_MULTIPLE for side in (height, width))
    fitting = [
        tile for tile in _candidates(rows, columns, most or (rows, columns)) if memory.needed_mib(*tile) <= limit_mib
    ]
    if not fitting:
        smallest = min(_candidates(rows, columns, most or (rows, columns)), key=lambda tile: tile[0] * tile[1])
        raise InputError(
            f"tiles of {smallest[1]}x{smallest[0]} take {memory.needed_mib(*smallest):.0f} MiB, and"
            f" {limit_mib:.0f} MiB are allowed",
            "raise --memory, or free some memory",
        )
    for least in (FAITHFUL, SEAMLESS, 0):
        large = [tile for tile in fitting if not smaller(tile, (rows, columns), least)]
        if large:
            break
    return min(large, key=lambda tile: (_pixels(rows, columns, tile), abs(tile[0] - tile[1])))


def smaller(tile: Size, size: Size, least: int) -> bool:
    """Whether a tile cuts a picture of a size to less than a side."""
    return any(side < min(least, whole) for side, whole in zip(tile, size, strict=True))


def _candidates(rows: int, columns: int, most: Size) -> Iterator[Size]:
    return product(_sides(rows, most[0]), _sides(columns, most[1]))


def _sides(length: int, most: int) -> list[int]:
    """Sides of tiles for a length; where less is served than the least of them, that."""
    cut = [side for side in range(SMALLEST, length, GRID) if side <= most]
    return [*cut, *([length] if length <= most else [])] or [most]


def _pixels(rows: int, columns: int, tile: Size) -> int:
    """In all tiles together: how much there is to compute."""
    return len(starts(rows, tile[0])) * len(starts(columns, tile[1])) * tile[0] * tile[1]
