"""16-bit TIFF, which Pillow reads as 8 bit or not at all."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moceir_edge.errors import PictureError

COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}
"""Colour samples by PhotometricInterpretation: white is zero, black is zero, RGB, CMYK (TIFF 6.0, tag 262)."""
WHITE_IS_ZERO = 0
UNSIGNED = 1
PREMULTIPLIED, STRAIGHT = 1, 2
"""Kinds of alpha (TIFF 6.0, tag 338 ExtraSamples)."""


def tiff16_samples(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Samples (H, W, C) and alpha (H, W) of the first page."""
    from tifffile import TiffFile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs of damage, this module raises
    with TiffFile(path) as tiff:
        page = tiff.pages.first
        colours = COLOURS.get(page.photometric)
        if page.bitspersample != 16 or page.sampleformat != UNSIGNED or colours is None or page.imagedepth != 1:
            raise PictureError(
                f"{path}: a TIFF of {page.bitspersample} bits per sample of this kind is not supported",
                "save it as 8 or 16 bit RGB",
            )
        _check_complete(page, path)
        planes = page.asarray(maxworkers=1).reshape(page.shaped)[:, 0]
        extra = tuple(int(kind) for kind in page.extrasamples)
        inverted = page.photometric == WHITE_IS_ZERO
    samples = planes.transpose(1, 2, 0, 3).reshape(*planes.shape[1:3], -1)
    colour = 65535 - samples[..., :colours] if inverted else samples[..., :colours]
    return _with_alpha(colour, samples[..., colours:], extra)


def _check_complete(page: Any, path: Path) -> None:
    """Refuse a page whose data lie outside the file: its missing part would be read as black."""
    end = max(offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True))
    if not all(page.databytecounts) or end > path.stat().st_size:
        raise PictureError(f"{path}: damaged or incomplete: pixels are missing", "copy or export the picture again")


def _with_alpha(
    colour: NDArray[np.uint16], others: NDArray[np.uint16], kinds: tuple[int, ...]
) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    """Take alpha from the extra samples, and its premultiplication out of the colours."""
    position = next((index for index, kind in enumerate(kinds) if kind in (PREMULTIPLIED, STRAIGHT)), None)
    if position is None:
        return colour, None
    alpha = others[..., position]
    if kinds[position] == STRAIGHT:
        return colour, alpha
    straight = colour * (65535.0 / np.maximum(alpha, 1))[..., None]
    return np.rint(np.minimum(straight, 65535)).astype(np.uint16), alpha
