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


@dataclass(frozen=True)
class PictureSamples:
    """One picture as its file has it, upright: an eighth or a quarter of what its float32 pixels take.

    samples: (H, W, C) uint8 or uint16; C is 1 (grey), 3 (RGB) or 4 (CMYK); alpha: (H, W) of the same type, or None
    source_profile: of the samples; icc_profile: an RGB one, into which the colours are converted on writing
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None
    source_profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.samples.shape[0], self.samples.shape[1]

    @property
    def bits(self) -> Literal[8, 16]:
        """Of a sample."""
        return 16 if self.samples.dtype == np.uint16 else 8

    @property
    def icc_profile(self) -> bytes | None:
        """The profile to write; CMYK and grey lose theirs, because RGB cannot carry it."""
        return self.source_profile if self.source_profile and is_rgb(self.source_profile) else None

    def region(self, top: int, left: int, size: tuple[int, int]) -> Pixels:
        """(3, H, W) float32 in [0, 1], sRGB, contiguous; cut off at the picture's end."""
        samples = self.samples[top : top + size[0], left : left + size[1]]
        colours = srgb_from_samples(samples, self.source_profile)
        return np.ascontiguousarray(colours.transpose(2, 0, 1), dtype=np.float32)

    def picture(self, pixels: Pixels, top: int = 0) -> Picture:
        """Whole rows with new colours, whose first row is `top` of this picture."""
        alpha = None if self.alpha is None else _unit(self.alpha[top : top + pixels.shape[1]])
        return Picture(pixels, self.bits, self.icc_profile, alpha)


def read_samples(path: Path, *, max_pixels: int = MAX_PIXELS) -> PictureSamples:
    """Read a PNG, JPEG, WebP or TIFF of 8 or 16 bit, upright; what cannot be read whole is refused."""
    decoded = decode_picture(path, max_pixels=max_pixels)
    picture = PictureSamples(decoded.samples, decoded.alpha, decoded.icc_profile)
    try:
        picture.region(0, 0, (1, 1))
    except ValueError as error:
        raise PictureError(f"{path}: {error}", "save it again without that profile") from error
    return picture


def read_picture(path: Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture in sRGB; see `read_samples`. Grey becomes three equal channels."""
    held = read_samples(path, max_pixels=max_pixels)
    return held.picture(held.region(0, 0, held.size))


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture whole or not at all; the suffix names the format.

    A sample is round(255 clip(x)), or round(65535 clip(x)) for 16 bit, which JPEG and WebP do not have: they get 8.
    No EXIF or XMP is written, so neither is a place.
    """
    bits = bits_in_file(path, bits=picture.bits, alpha=picture.alpha is not None)
    write_samples(samples_from_picture(picture, bits=bits), path, icc_profile=picture.icc_profile)


def bits_in_file(path: Path, *, bits: Literal[8, 16], alpha: bool) -> Literal[8, 16]:
    """Of the samples that a file by this name gets; OutputError where its format cannot hold the picture."""
    suffix = path.suffix.lower()
    if suffix not in ENCODERS:
        raise OutputError(f"{path}: no picture has the suffix '{suffix}'", f"use one of {', '.join(PICTURE_SUFFIXES)}")
    if alpha and suffix not in SUFFIXES_WITH_ALPHA:
        raise OutputError(f"{path}: JPEG has no transparency, and the picture does", "write PNG, WebP or TIFF")
    return bits if suffix in SUFFIXES_OF_16_BIT else 8


def write_samples(samples: NDArray[Any], path: Path, *, icc_profile: bytes | None) -> None:
    """Write samples (H, W, 3), or with alpha (H, W, 4), of the bits that the format takes, whole or not at all."""
    suffix = path.suffix.lower()
    try:
        encoded = ENCODERS[suffix](samples, icc_profile)
    except MemoryError as error:
        raise OutputError(f"{path}: memory is short for writing it", "free some memory") from error
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
