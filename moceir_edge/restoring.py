"""Restoring pictures and folders of pictures with anything that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from moceir_edge.data.images import PICTURE_SUFFIXES, is_picture, read_picture, write_picture
from moceir_edge.errors import DataError, InputError, OutputError, PictureError
from moceir_edge.memory import Memory, safe_memory_mib
from moceir_edge.opening import Opened, open_path
from moceir_edge.records import Record, refuse_existing
from moceir_edge.runner import torch_threads
from moceir_edge.terms import SIZE_MULTIPLE, Progress, Task, silent
from moceir_edge.tile_plan import OVERLAP, SEAMLESS, plan_tile
from moceir_edge.tiling import restore_pixels, seams_expected


class RestoredFiles(Record):
    """Pictures that were written, by input; skipped: inputs that are no pictures, with the reason."""

    written: dict[str, str]
    skipped: dict[str, str]


def restore(
    path: Path,
    pictures: Sequence[Path],
    out: Path,
    *,
    task: Task | None = None,
    tile: int | None = None,
    memory_mib: float | None = None,
    threads: int | None = None,
    strength: float = 1.0,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> RestoredFiles:
    """Restore pictures of any size; a folder stands for its pictures, read one by one.

    tile: side of the tiles, None decides: the largest for which an artifact stays below `memory_mib` by its own
    measured number (None: a safe share of what is free), or by the size of the picture where there is no number.
    threads: that compute, None leaves them to the runtime. strength: 0 gives the input back, 1 the restored picture.
    A damaged picture inside a folder is skipped with its reason; one that was named is a PictureError.
    """
    _check_options(tile=tile, memory_mib=memory_mib, strength=strength)
    places = _places(pictures, out, force=force)
    named = [source for source in places if source in pictures]
    for source in named:
        read_picture(source)
    with torch_threads(threads):
        opened = open_path(path, threads=threads)
        _check_model(opened, task=task, tile=tile)
        if memory_mib is not None and _memory(opened) is None:
            say(f"{path}: nobody has measured its memory, so --memory cannot choose the tiles")
        limit_mib = memory_mib if memory_mib is not None else safe_memory_mib()
        return _restored(
            opened, places, named, tile=tile, limit_mib=limit_mib, strength=strength, progress=progress, say=say
        )


def _restored(
    opened: Opened,
    places: Mapping[Path, Path],
    named: Sequence[Path],
    *,
    tile: int | None,
    limit_mib: float | None,
    strength: float,
    progress: Progress,
    say: Callable[[str], None],
) -> RestoredFiles:
    written, skipped = {}, {}
    for source in progress(list(places), "restoring"):
        try:
            picture = read_picture(source)
        except PictureError as error:
            if source in named:
                raise
            skipped[str(source)] = error.what
            say(f"skipped {error.what}")
            continue
        side = _tile(opened, picture.pixels.shape, tile=tile, limit_mib=limit_mib)
        if seams_expected(opened.runner, picture.pixels, tile=side):
            say(
                f"{source}: cut into tiles below {SEAMLESS} pixels, expect seams; a larger tile or artifact avoids them"
            )
        restored = restore_pixels(opened.runner, picture.pixels, tile=side)
        mixed = picture.pixels + np.float32(strength) * (restored - picture.pixels)
        write_picture(replace(picture, pixels=np.clip(mixed, 0, 1)), places[source])
        written[str(source)] = str(places[source])
    return RestoredFiles(written=written, skipped=skipped)


def _memory(opened: Opened) -> Memory | None:
    return opened.artifact.memory if opened.artifact is not None else None


def _tile(opened: Opened, shape: tuple[int, ...], *, tile: int | None, limit_mib: float | None) -> int | None:
    """The tile that was asked for, or the largest one that fits; None leaves it to the picture's size."""
    if tile is not None or opened.runner.size is not None:
        return tile
    memory, served = _memory(opened), _largest_tile(opened, shape)
    if memory is None or limit_mib is None:
        return served
    fitting = plan_tile(shape[1], shape[2], memory, limit_mib=limit_mib)
    return fitting if served is None else min(fitting, served)


def _largest_tile(opened: Opened, shape: tuple[int, ...]) -> int | None:
    """The side of the largest square that is served, for a picture that is not served whole."""
    largest = opened.artifact.largest if opened.artifact is not None else None
    if largest is None or all(side <= limit for side, limit in zip(shape[1:], largest, strict=True)):
        return None
    return min(largest)


def _check_options(*, tile: int | None, memory_mib: float | None, strength: float) -> None:
    if memory_mib is not None and not memory_mib > 0:
        raise InputError(f"{memory_mib:g} MiB of memory are not possible", "give a number above 0")
    if tile is not None and (tile % SIZE_MULTIPLE or tile <= 2 * OVERLAP):
        raise InputError(f"tile {tile} is not possible", f"give a multiple of {SIZE_MULTIPLE} above {2 * OVERLAP}")
    if not 0 <= strength <= 1:
        raise InputError(f"strength {strength:g} is out of range", "give a number from 0 to 1")


def _check_model(opened: Opened, *, task: Task | None, tile: int | None) -> None:
    served = opened.runner.size
    if tile is not None and served is not None and served != (tile, tile):
        raise InputError(
            f"{opened.path} serves pictures of {served[1]}x{served[0]}, not tiles of {tile}", "leave --tile out"
        )
    largest = opened.artifact.largest if opened.artifact is not None else None
    if tile is not None and largest is not None and tile > min(largest):
        raise InputError(
            f"{opened.path} serves pictures up to {largest[1]}x{largest[0]}, not tiles of {tile}", "leave --tile out"
        )
    if task is not None and opened.tasks and task not in opened.tasks:
        raise InputError(
            f"{opened.path} was made for {', '.join(opened.tasks)}, not {task}", "give a model for that task"
        )


def _places(pictures: Sequence[Path], out: Path, *, force: bool) -> dict[Path, Path]:
    """Where each picture goes; OutputError if a place is taken, is itself an input, or two are the same.

    Names that differ in case alone are the same: they are on macOS and Windows.
    """
    places = {source: out / name for source, name in _inputs(pictures)}
    if len({str(place).casefold() for place in places.values()}) < len(places):
        raise OutputError("two pictures would get the same name", "restore them into different folders")
    sources = {source.resolve() for source in places}
    for place in places.values():
        if place.resolve() in sources:
            raise OutputError(f"{place} is an input, and would be overwritten", "give another folder with --out")
    for place in places.values():
        refuse_existing(place, force=force)
    return places


def _inputs(pictures: Sequence[Path]) -> Sequence[tuple[Path, Path]]:
    """Every picture with the name it gets below the output folder."""
    found: list[tuple[Path, Path]] = []
    for given in pictures:
        if given.is_dir():
            inside = sorted(path for path in given.rglob("*") if path.is_file() and is_picture(path))
            if not inside:
                raise DataError(f"{given}: no pictures in this folder", "give a folder with PNG, JPEG, WebP or TIFF")
            found.extend((path, path.relative_to(given)) for path in inside)
        elif not given.is_file():
            raise PictureError(f"{given}: no such file or folder", "check the path")
        elif not is_picture(given):
            raise PictureError(f"{given}: not a picture by its name", f"give one of {', '.join(PICTURE_SUFFIXES)}")
        else:
            found.append((given, Path(given.name)))
    return found
