"""What restoring a picture may take of the memory, and the tile that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from moceir_edge.errors import InputError
from moceir_edge.memory import Memory, safe_memory_mib
from moceir_edge.network.architecture import Architecture
from moceir_edge.opening import Opened
from moceir_edge.tile_plan import FAITHFUL, Size, plan_tile, smaller
from moceir_edge.tiling import tile_of

MOST_MIB = 1350.0
"""What restoring takes where nobody gives a limit, as long as tiles are as large as they should be. 1.5 GB are 1430
MiB, and 12 megapixels in tiles planned for those took 1312 to 1364."""

HELD_BYTES = 24
"""For each pixel of 8 bits, beside the model: the picture, the next one as it is decoded, the last one as it is
encoded, each with a copy that its library makes."""

READING_MIB = 40.0
"""What this package, Pillow and imagecodecs add to the bare process in which an artifact was measured."""

NETWORK_BASE_MIB = 340.0
"""PyTorch and this package, without weights: 252 MiB with tiny, and what a first run allocates beside its picture."""

NETWORK_MIB_PER_CHANNEL = 40.0
"""Per megapixel and channel of the widest result at full resolution, one thread: 30 with tiny (2000 MiB for 64), 38
with S (4830 for 128)."""


@dataclass(frozen=True)
class Budget:
    """What decides about tiles. memory: None where nobody knows what a picture takes; limit_mib: None by itself.

    tile: side that was asked for.
    """

    opened: Opened
    memory: Memory | None
    limit_mib: float | None = None
    tile: int | None = None

    def tile_for(self, size: Size, *, bits: int) -> Size:
        """The tile for a picture of a size; the padded picture itself where that fits.

        InputError where not even the smallest tile does.
        """
        runner = self.opened.runner
        if runner.size is not None or self.tile is not None:
            return tile_of(runner, size, tile=None if self.tile is None else (self.tile, self.tile))
        most = self._served(size)
        if self.memory is None:
            return _at_most(tile_of(runner, size), most)
        held_mib = size[0] * size[1] * HELD_BYTES * bits / 8 / 2**20
        return self._planned(size, self.memory, held_mib, most)

    def _planned(self, size: Size, memory: Memory, held_mib: float, most: Size | None) -> Size:
        """By itself: below 1.5 GB, or, if tiles would be too small, below what is safe here."""
        if self.limit_mib is not None:
            return plan_tile(*size, memory, limit_mib=self.limit_mib - held_mib, most=most)
        safe_mib = safe_memory_mib()
        limit_mib = MOST_MIB if safe_mib is None else min(MOST_MIB, safe_mib)
        try:
            tile = plan_tile(*size, memory, limit_mib=limit_mib - held_mib, most=most)
        except InputError:
            if safe_mib is None or safe_mib <= limit_mib:
                raise
        else:
            if safe_mib is None or safe_mib <= limit_mib or not smaller(tile, size, FAITHFUL):
                return tile
        needed_mib = memory.needed_mib(*_at_most((FAITHFUL, FAITHFUL), size))
        return plan_tile(*size, memory, limit_mib=max(limit_mib - held_mib, min(needed_mib, safe_mib)), most=most)

    def _served(self, size: Size) -> Size | None:
        """The largest tile that is served, for a picture that is not served whole."""
        largest = self.opened.artifact.largest if self.opened.artifact is not None else None
        if largest is None or all(side <= limit for side, limit in zip(size, largest, strict=True)):
            return None
        return min(largest), min(largest)


def _at_most(tile: Size, most: Size | None) -> Size:
    return tile if most is None else (min(tile[0], most[0]), min(tile[1], most[1]))


def memory_of(opened: Opened) -> Memory | None:
    """What was measured of an artifact, with what reading pictures adds; for a model in PyTorch an estimate."""
    if opened.model is not None:
        return network_memory(opened.model.network.architecture, parameters=opened.model.parameters)
    measured = opened.artifact.memory if opened.artifact is not None else None
    if measured is None:
        return None
    return measured.model_copy(update={"base_mib": measured.base_mib + READING_MIB})


def network_memory(architecture: Architecture, *, parameters: int) -> Memory:
    """Of a network in PyTorch on the CPU: what its widest layer at full resolution takes, times what was measured."""
    trunk = (*architecture.encoder[0], *architecture.refinement)
    widest = 2 * max(*(block.feed_forward for block in trunk), *(b.feed_forward for b in architecture.decoder[-1]))
    return Memory(
        base_mib=NETWORK_BASE_MIB + 4 * parameters / 2**20, mib_per_megapixel=NETWORK_MIB_PER_CHANNEL * widest
    )
