"""Pictures: read to sRGB for the network, and written back as they came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moceir_edge.data.colour import is_rgb, profile_from_srgb, srgb_from_samples
from moceir_edge.data.decode import decode_picture
from moceir_edge.data.encode import ENCODERS, SUFFIXES_OF_16_BIT, SUFFIXES_WITH_ALPHA
from moceir_edge.errors import OutputError, PictureError
from moceir_edge.records import replacing_file

Pixels = NDArray[np.float32]
"""(3, H, W) float32, sRGB in [0, 1]."""

PICTURE_SUFFIXES = tuple(ENCODERS)
"""What is read and written, in lower case."""
MAX_PIXELS = 2**26
"""8192x8192: its float32 pixels fill 805 MB, which is what one picture may cost."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    pixels: (3, H, W) float32 in [0, 1], contiguous, sRGB
    bits: of a sample in the file that it came from, or shall become
    icc_profile: an RGB profile into which the colours are converted on writing; None is sRGB
    alpha: (H, W) float32 in [0, 1], not premultiplied
    """

    pixels: Pixels
    bits: Literal[8, 16] = 8
    icc_profile: bytes | None = None
    alpha: NDArray[np.float32] | None = None


def is_picture(path: Path) -> bool:
    """Whether the suffix is one of a picture and the file is not hidden."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a PNG, JPEG, WebP or TIFF of 8 or 16 bit, upright and in sRGB; what cannot be read whole is refused.

    Grey becomes three equal channels; CMYK and grey lose their profile, because RGB cannot carry it.
    """
    decoded = decode_picture(path, max_pixels=max_pixels)
    profile = decoded.icc_profile
    try:
        colours = srgb_from_samples(decoded.samples, profile)
    except ValueError as error:
        raise PictureError(f"{path}: {error}", "save it again without that profile") from error
    return Picture(
        pixels=np.ascontiguousarray(colours.transpose(2, 0, 1), dtype=np.float32),
        bits=16 if decoded.samples.dtype == np.uint16 else 8,
        icc_profile=profile if profile and is_rgb(profile) else None,
        alpha=None if decoded.alpha is None else _unit(decoded.alpha),
    )


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture whole or not at all; the suffix names the format.

    A sample is round(255 clip(x)), or round(65535 clip(x)) for 16 bit, which JPEG and WebP do not have: they get 8.
    No EXIF or XMP is written, so neither is a place.
    """
    suffix = path.suffix.lower()
    if suffix not in ENCODERS:
        raise OutputError(f"{path}: no picture has the suffix '{suffix}'", f"use one of {', '.join(PICTURE_SUFFIXES)}")
    if picture.alpha is not None and suffix not in SUFFIXES_WITH_ALPHA:
        raise OutputError(f"{path}: JPEG has no transparency, and the picture does", "write PNG, WebP or TIFF")
    samples = samples_from_picture(picture, bits=picture.bits if suffix in SUFFIXES_OF_16_BIT else 8)
    try:
        encoded = ENCODERS[suffix](samples, picture.icc_profile)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: {suffix} cannot hold this picture: {error}", "write PNG") from error
    with replacing_file(path) as temporary:
        temporary.write_bytes(encoded)


def samples_from_picture(picture: Picture, *, bits: int) -> NDArray[Any]:
    """Samples (H, W, 3), or with alpha (H, W, 4), uint8 or uint16, in the colours of the picture's profile."""
    colours = np.clip(picture.pixels, 0.0, 1.0).transpose(1, 2, 0)
    if picture.icc_profile is not None:
        colours = profile_from_srgb(colours, picture.icc_profile)
    if picture.alpha is not None:
        colours = np.concatenate([colours, picture.alpha[..., None]], axis=2)
    return quantized(colours, bits=bits)


def quantized(values: NDArray[np.float32], *, bits: int) -> NDArray[Any]:
    """round(clip(x) (2^bits - 1)) as uint8 or uint16."""
    # float64, so that every 16-bit sample comes back as itself
    scaled = np.rint(np.clip(values, 0.0, 1.0).astype(np.float64) * (2**bits - 1))
    samples: NDArray[Any] = scaled.astype(np.uint16 if bits == 16 else np.uint8)
    return samples


def _unit(samples: NDArray[Any]) -> NDArray[np.float32]:
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
