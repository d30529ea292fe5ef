"""Pictures within a page: as they are where they are small enough, else as JPEG, else smaller."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

QUALITY = 92
SHRINKS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Embedded:
    """uri: None for a picture of one flat colour. note: what was done to it, empty if nothing.

    swing: the largest distance of a value from mid grey, 0 to 128.
    """

    uri: str | None
    swing: int
    note: str = ""


def embed(path: Path, *, limit_bytes: int) -> Embedded:
    """A PNG as data URI of at most about `limit_bytes` of content."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    pixels = np.asarray(image).astype(int)
    swing = int(np.abs(pixels - 128).max())
    if (pixels == pixels[0, 0]).all():
        return Embedded(None, swing)
    content = path.read_bytes()
    if len(content) <= limit_bytes:
        return Embedded(_uri("png", content), swing)
    for shrink in SHRINKS:
        content = _jpeg(image, shrink)
        if len(content) <= limit_bytes:
            break
    note = "JPEG" if shrink == 1 else f"JPEG, at 1/{shrink} of its size"
    return Embedded(_uri("jpeg", content), swing, note)


def _jpeg(image: Image.Image, shrink: int) -> bytes:
    stream = io.BytesIO()
    size = (max(1, image.width // shrink), max(1, image.height // shrink))
    shown = image if shrink == 1 else image.resize(size, Image.Resampling.LANCZOS)
    shown.save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return stream.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
