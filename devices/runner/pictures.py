"""Pixels, (3, H, W) float32 in [0, 1]: padded to what the model takes, and in tiles where it cannot take them whole.

The same numbers as `moceir_edge.tiling`, `moceir_edge.tile_plan` and `moceir_edge.runner` give; a test compares them.
"""

from __future__ import annotations

import itertools

import numpy as np

MULTIPLE = 8
"""The network halves three times."""

OVERLAP = 32
"""Pixels that a tile gives up to each neighbour: tiles are 2 x 32 less apart than they are long."""

GRID, SMALLEST = 64, 128
"""Sides of planned tiles are multiples of the one, and no less than the other."""

SEAMLESS = 384
"""Tiles below this side show."""

FAITHFUL = 640
"""Planned tiles have at least this side where they can."""

WHOLE_PIXELS = 2**21
AUTO_TILE = 768
"""Side of the tiles of pictures above WHOLE_PIXELS, where it is not known what memory they take."""


def restore_pixels(run, image, *, size, tile=None):
    """(restored, not clipped; the lowest agreement of a tile, None without one) of a picture of any size.

    run: see `backend`. size: (height, width) that it serves, None for any multiple of 8. tile: (height, width) of the
    tiles, None for the whole picture where `size` is None, too.
    """
    window = size or tile
    if window is None or (image.shape[1] <= window[0] and image.shape[2] <= window[1]):
        return run_padded(run, image, size)
    total, weights = np.zeros_like(image), np.zeros(image.shape[1:], np.float32)
    agreements = []
    for top, left in itertools.product(*map(starts, image.shape[1:], window)):
        part = image[:, top : top + window[0], left : left + window[1]]
        restored, agreement = run_padded(run, np.ascontiguousarray(part), size)
        faded = fade(part.shape[1:])
        total[:, top : top + window[0], left : left + window[1]] += restored * faded
        weights[top : top + window[0], left : left + window[1]] += faded
        agreements.append(agreement)
    known = [agreement for agreement in agreements if agreement is not None]
    return total / weights, min(known, default=None)


def run_padded(run, image, size):
    """(restored, agreement) of a picture that fits; padded right and below, cropped back."""
    height, width = image.shape[1:]
    outputs = run(pad(image, size or (height + -height % MULTIPLE, width + -width % MULTIPLE)))
    agreement = outputs.get("agreement")
    restored = np.ascontiguousarray(outputs["restored"][:, :height, :width])
    return restored, None if agreement is None else float(np.ravel(agreement)[0])


def pad(image, size):
    """Pad right and below to (height, width), by reflection, by edge where a side is too short for that."""
    for axis, target in ((1, size[0]), (2, size[1])):
        missing = target - image.shape[axis]
        if missing:
            widths = [(0, 0), (0, 0), (0, 0)]
            widths[axis] = (0, missing)
            image = np.pad(image, widths, mode="reflect" if missing < image.shape[axis] else "edge")
    return np.ascontiguousarray(image)


def overlap_of(side):
    """What a tile of this side gives up at each end; small ones, which a fixed size may force, an eighth."""
    return min(OVERLAP, side // 8)


def starts(length, side):
    """Starts of tiles that cover a length, the last one flush with its end."""
    if length <= side:
        return [0]
    return [*range(0, length - side, max(MULTIPLE, side - 2 * overlap_of(side))), length - side]


def fade(shape):
    """(H, W): 1 inside, falling linearly over what neighbours share towards every edge, never 0."""
    ramps = []
    for length in shape:
        distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
        ramps.append(np.minimum(distance / max(1, 2 * overlap_of(length)), 1.0).astype(np.float32))
    return np.outer(*ramps).astype(np.float32)


def shrunk(image, tile):
    """Means of squares: the picture, by a whole number smaller in both directions, so that it fits into a tile."""
    height, width = image.shape[1:]
    step = max(1, -(-height // tile[0]), -(-width // tile[1]))
    rows, columns = max(1, height // step), max(1, width // step)
    part = image[:, : rows * step, : columns * step]
    squares = part.reshape(3, rows, part.shape[1] // rows, columns, part.shape[2] // columns)
    return squares.mean((2, 4), dtype=np.float32)


def plan_tile(height, width, needed_mib, limit_mib, most=None):
    """(height, width) of the tiles with the fewest pixels in all; the padded picture where that fits, None if none do.

    needed_mib: what a (height, width) takes. most: the largest tile that is served, None where memory alone ends it.
    Small tiles are taken only where no others fit.
    """
    rows, columns = (side + -side % MULTIPLE for side in (height, width))
    limits = most or (rows, columns)
    candidates = itertools.product(sides(rows, limits[0]), sides(columns, limits[1]))
    fitting = [tile for tile in candidates if needed_mib(*tile) <= limit_mib]
    large = [[tile for tile in fitting if not smaller(tile, (rows, columns), least)] for least in (FAITHFUL, SEAMLESS)]

    def cost(tile):
        pixels = len(starts(rows, tile[0])) * len(starts(columns, tile[1])) * tile[0] * tile[1]
        return pixels, abs(tile[0] - tile[1])

    return min(large[0] or large[1] or fitting, key=cost, default=None)


def smaller(tile, size, least):
    """Whether a tile cuts a picture of a size to less than a side."""
    return any(side < min(least, whole) for side, whole in zip(tile, size))


def sides(length, most):
    """Sides of tiles for a length; where less is served than the least of them, that."""
    cut = [side for side in range(SMALLEST, length, GRID) if side <= most]
    return [*cut, *([length] if length <= most else [])] or [most]
