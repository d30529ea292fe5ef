"""Training pictures: which files they are, and those that stay decoded."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from moceir_edge.data.images import is_picture, read_picture
from moceir_edge.errors import PictureError

Samples8 = NDArray[np.uint8]
"""(3, H, W)."""

BMP = ".bmp"
"""The Waterloo Exploration Database comes in it; pictures to restore do not."""


def is_training_picture(path: Path) -> bool:
    """What is restored, and BMP."""
    return is_picture(path) or path.suffix.lower() == BMP


def decoded(path: Path) -> Samples8:
    """A picture in 8 bits; PictureError where it cannot be read whole."""
    if path.suffix.lower() != BMP:
        return np.rint(read_picture(path).pixels * 255).astype(np.uint8)
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except (OSError, UnidentifiedImageError) as error:
        raise PictureError(f"{path}: cannot be read: {error}", "check the file") from error


class Shelf:
    """Decoded pictures up to a size in MiB; the one that was used longest ago goes first."""

    def __init__(self, mebibytes: int) -> None:
        self.limit, self.used = mebibytes * 2**20, 0
        self.known: OrderedDict[Path, Samples8] = OrderedDict()

    def read(self, path: Path) -> Samples8:
        """See `decoded`."""
        if path in self.known:
            self.known.move_to_end(path)
            return self.known[path]
        samples = decoded(path)
        self.known[path] = samples
        self.used += samples.nbytes
        while self.used > self.limit and self.known:
            self.used -= self.known.popitem(last=False)[1].nbytes
        return samples
