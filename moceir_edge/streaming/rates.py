"""What restoring costs beside pure inference: files around it, and tiles in place of whole pictures, side by side."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from moceir_edge.data.images import read_picture
from moceir_edge.errors import PictureError
from moceir_edge.metrics import finite, psnr_db
from moceir_edge.opening import Opened, open_path
from moceir_edge.records import Record
from moceir_edge.runner import Image, run_padded
from moceir_edge.streaming.budget import Budget, memory_of
from moceir_edge.streaming.decision import decided
from moceir_edge.streaming.restore import restore
from moceir_edge.tile_plan import Size
from moceir_edge.tiling import Whole, restored_bands


class FolderRate(Record):
    """How fast files are restored. share: pure inference time / time of `restore`, median over rounds of both."""

    pictures: int
    megapixels: float
    share: float
    shares: tuple[float, ...]


class TiledCost(Record):
    """A picture in tiles beside the same picture whole.

    ratio: time per megapixel of tiles / of the whole, median over rounds of both, in wall time; cpu_ratio: the same in
    processor time, which others at work on the machine disturb less; parity_db: peak 1, unclipped, null where equal.
    """

    size: Size
    tile: Size
    ratio: float
    cpu_ratio: float
    ratios: tuple[float, ...]
    parity_db: float | None
    parity_undecided_db: float | None


def folder_rate(path: Path, pictures: Sequence[Path], *, threads: int | None = None, rounds: int = 5) -> FolderRate:
    """Restore files, and run the same pictures that lie in memory, in turn; whole pictures only.

    The time to open the model is left out on both sides: `restore` is timed with one picture less, too.
    """
    if len(pictures) < 2:
        raise PictureError("a rate needs two pictures or more", "give more pictures")
    opened = open_path(path, threads=threads)
    images = [read_picture(picture).pixels for picture in pictures]

    def infer() -> None:
        for image in images[1:]:
            run_padded(opened.runner, image)

    def files(given: Sequence[Path]) -> float:
        with tempfile.TemporaryDirectory(prefix="moceir-edge-") as folder:
            return _seconds(lambda: restore(path, given, Path(folder), threads=threads))

    infer()
    shares = []
    for _ in range(rounds):
        alone = _seconds(infer)
        shares.append(alone / (files(pictures) - files(pictures[:1])))
    pixels = sum(image.shape[1] * image.shape[2] for image in images[1:])
    return FolderRate(pictures=len(pictures), megapixels=pixels / 1e6, share=median(shares), shares=tuple(shares))


def tiled_cost(
    path: Path, picture: Path, *, tile: int | None = None, threads: int | None = None, rounds: int = 3
) -> TiledCost:
    """Restore a picture whole and in tiles, in turn.

    tile: side; None takes the tiles that a picture of twelve megapixels would be cut into.
    parity_undecided_db: where each tile decides its own route; null where nothing takes gates.
    """
    opened = open_path(path, threads=threads)
    source = Whole(read_picture(picture).pixels)
    planned = Budget(opened, memory_of(opened), tile=tile).tile_for((3000, 4000), bits=8)
    side = (min(planned[0], source.size[0]), min(planned[1], source.size[1]))
    ratios, cpu_ratios = [], []
    for _ in range(rounds):
        whole, whole_s, whole_cpu_s = _timed(lambda: run_padded(opened.runner, source.pixels).restored)
        tiled, tiled_s, tiled_cpu_s = _timed(lambda: _tiled(opened, source, side, decide=True))
        ratios.append(tiled_s / whole_s)
        cpu_ratios.append(tiled_cpu_s / whole_cpu_s)
    alone = psnr_db(whole, _tiled(opened, source, side, decide=False)) if opened.steered is not None else None
    return TiledCost(
        size=source.size,
        tile=side,
        ratio=median(ratios),
        cpu_ratio=median(cpu_ratios),
        ratios=tuple(ratios),
        parity_db=finite(psnr_db(whole, tiled)),
        parity_undecided_db=None if alone is None else finite(alone),
    )


def _tiled(opened: Opened, source: Whole, tile: Size, *, decide: bool) -> Image:
    runner = decided(opened, source, tile).runner if decide else opened.runner
    return np.concatenate([band for _, band in restored_bands(partial(run_padded, runner), source, tile)], axis=1)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timed(work: Callable[[], Image]) -> tuple[Image, float, float]:
    """The result, wall seconds and processor seconds of this process."""
    start, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - start, time.process_time() - cpu
