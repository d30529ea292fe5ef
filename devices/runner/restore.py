"""`restore`: pictures of up to 67 megapixels, whole where memory allows, else in tiles."""

from __future__ import annotations

import time

import numpy as np
from backend import open_backend
from bundle import read_artifact
from guard import Watched, warning
from memory import needed_by, safe_mib
from picture_files import read_picture, write_picture
from pictures import (
    AUTO_TILE,
    MULTIPLE,
    OVERLAP,
    SEAMLESS,
    SMALLEST,
    WHOLE_PIXELS,
    pad,
    plan_tile,
    restore_pixels,
    shrunk,
)
from places import places_of
from problem import GATE_FAILED, BadPicture, Problem
from saying import complain, say


def restore(folder, manifest, given):
    """Restore every picture into given.out; returns the exit code.

    A picture that is damaged inside, or that the model makes no numbers of, does not keep the others from theirs.
    """
    require_options(given)
    places = places_of(given.pictures, given.out, given.force)
    artifact, backend = read_artifact(folder), open_backend(folder, manifest, threads=given.threads)
    require_tile(given.tile, backend.size, artifact.get("largest"))
    bad = {}
    for path, place in places.items():
        try:
            restore_picture(path, place, artifact=artifact, backend=backend, manifest=manifest, given=given)
        except BadPicture as problem:
            if len(places) == 1:
                raise
            bad[path] = problem
            complain("warning: {}".format(problem))
        except MemoryError as error:
            raise Problem("{}: no memory ({}); end other programs, or scale the picture".format(path, error)) from error
    if bad:
        text = "{} of {} pictures were not restored: {}; mend them, and the same command does what is missing"
        names = ", ".join(str(path) for path in bad)
        raise Problem(text.format(len(bad), len(places), names), min(problem.code for problem in bad.values()))
    return 0


def restore_picture(path, place, *, artifact, backend, manifest, given):
    """One picture from file to file, with a line for people."""
    picture, start = read_picture(path), time.perf_counter()
    asked = None if given.tile is None else (given.tile, given.tile)
    tile = asked or tile_of(artifact, backend.size, picture.pixels.shape)
    restored, agreement, tile, scores = restored_in_memory(
        backend, picture.pixels, path, tile=tile, fixed=asked is not None
    )
    if not np.isfinite(restored).all():
        text = "{}: the model of {} gives NaN or infinity; do not ship it, export it with more precision"
        raise BadPicture(text.format(path, manifest["name"]), GATE_FAILED)
    doubt = warning(artifact.get("guard"), scores, manifest["tasks"])
    if doubt is not None:
        complain("warning: {} {}".format(path, doubt))
    mixed = picture.pixels + np.float32(given.strength) * (restored - picture.pixels)
    write_picture(picture._replace(pixels=mixed), place)
    seconds = time.perf_counter() - start
    tell("{} -> {}".format(path, place), picture.pixels.shape, tile, agreement, seconds)


def require_options(given):
    """Problem where a number is out of range."""
    if not 0 <= given.strength <= 1:
        raise Problem("strength {:g} is out of range; give a number from 0 to 1".format(given.strength))
    if given.tile is not None and (given.tile % MULTIPLE or given.tile <= 2 * OVERLAP):
        text = "tile {} is not possible; give a multiple of {} above {}"
        raise Problem(text.format(given.tile, MULTIPLE, 2 * OVERLAP))


def require_tile(tile, size, largest):
    """Problem where the artifact serves no such tile."""
    if tile is not None and size is not None and size != (tile, tile):
        raise Problem("this bundle serves pictures of {1}x{0}; leave --tile out".format(*size))
    if tile is not None and largest is not None and tile > min(largest):
        raise Problem("this bundle serves pictures up to {1}x{0}; leave --tile out".format(*largest))


def tile_of(artifact, size, shape):
    """(height, width) of the tiles that fit into memory, None for the whole picture."""
    height, width = shape[1:]
    if size is not None:
        return size
    most, needed, limit_mib = artifact.get("largest"), needed_by(artifact), safe_mib()
    if needed is None or limit_mib is None:
        if most is not None and (height > most[0] or width > most[1]):
            return tuple(most)
        return (AUTO_TILE, AUTO_TILE) if height * width > WHOLE_PIXELS else None
    tile = plan_tile(height, width, needed, limit_mib, most)
    if tile is None:
        text = "the smallest tiles take {:.0f} MiB, and {:.0f} are free to take; end other programs"
        raise Problem(text.format(needed(SMALLEST, SMALLEST), limit_mib))
    return tile


def restored_in_memory(backend, image, path, *, tile, fixed):
    """(restored, agreement, tile, scores of all tiles); where the runtime finds no memory, tiles are halved.

    fixed: whether the tiles were asked for, so that they are not halved.
    """
    while True:
        try:
            watched = Watched(backend, gates_for(backend, image, tile))
            restored, agreement = restore_pixels(watched.run, image, size=backend.size, tile=tile)
        except MemoryError as error:
            halved = halved_tile(tile or image.shape[1:])
            if fixed or backend.size is not None or halved is None:
                text = "{}: no memory ({}); end other programs, or give a smaller --tile"
                raise Problem(text.format(path, error)) from error
            complain("{}: no memory; again in tiles of {}x{}".format(path, halved[1], halved[0]))
            tile = halved
        else:
            return restored, agreement, tile, watched.tiles


def gates_for(backend, image, tile):
    """The route of a picture in tiles, decided once on the whole picture made small; None where it is not decided."""
    if not backend.steers or tile is None or (image.shape[1] <= tile[0] and image.shape[2] <= tile[1]):
        return None
    small = shrunk(image, tile)
    height, width = small.shape[1:]
    return backend.run(pad(small, backend.size or (height + -height % MULTIPLE, width + -width % MULTIPLE)))["chosen"]


def halved_tile(tile):
    """Half of it each way as multiples of 8, no less than the smallest tile; None where it is that already."""
    halved = tuple(max(SMALLEST, side // 2 // MULTIPLE * MULTIPLE) for side in tile)
    return halved if any(half < side for half, side in zip(halved, tile)) else None


def tell(what, shape, window, agreement, seconds):
    """A line for a picture."""
    height, width = shape[1:]
    tiled = window is not None and (height > window[0] or width > window[1])
    said = "" if not tiled else ", in tiles of {}x{}".format(window[1], window[0])
    if tiled and min(window) < SEAMLESS:
        said += " (below {}: expect seams)".format(SEAMLESS)
    said += "" if agreement is None else ", agreement {:.2f}".format(agreement)
    say("{}: {}x{}, {:.2f} s{}".format(what, width, height, seconds, said))
