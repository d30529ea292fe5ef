"""Picture files from samples: PNG, JPEG, WebP and TIFF, with nothing in them but pixels and a colour profile."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

JPEG_QUALITY = 95
AFTER_IHDR = 33
"""A PNG starts with 8 bytes of signature and the 25 bytes of IHDR (PNG specification 5.2, 11.2.2)."""

Encoder = Callable[[NDArray[Any], bytes | None], bytes]
"""Samples (H, W, 3 or 4) uint8 or uint16 and an ICC profile to the bytes of a file."""


def png_from_samples(samples: NDArray[Any], icc_profile: bytes | None) -> bytes:
    """PNG of 8 or 16 bit."""
    from imagecodecs import png_encode

    encoded = bytes(png_encode(np.ascontiguousarray(samples)))
    if icc_profile is None:
        return encoded
    chunk = b"iCCP" + b"ICC profile\0\0" + zlib.compress(icc_profile)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return encoded[:AFTER_IHDR] + framed + encoded[AFTER_IHDR:]


def jpeg_from_samples(samples: NDArray[Any], icc_profile: bytes | None) -> bytes:
    """JPEG without chroma subsampling."""
    return _pillow(samples, "JPEG", icc_profile=icc_profile, quality=JPEG_QUALITY, subsampling=0)


def webp_from_samples(samples: NDArray[Any], icc_profile: bytes | None) -> bytes:
    """Lossless WebP, colours under full transparency included."""
    return _pillow(samples, "WEBP", icc_profile=icc_profile or b"", lossless=True, exact=True)


def tiff_from_samples(samples: NDArray[Any], icc_profile: bytes | None) -> bytes:
    """Deflated TIFF of 8 or 16 bit."""
    from tifffile import imwrite

    stream = io.BytesIO()
    imwrite(
        stream,
        samples,
        photometric="rgb",
        extrasamples=["unassalpha"] if samples.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=icc_profile,
        metadata=None,
        software=False,
    )
    return stream.getvalue()


ENCODERS: dict[str, Encoder] = {
    ".png": png_from_samples,
    ".jpg": jpeg_from_samples,
    ".jpeg": jpeg_from_samples,
    ".webp": webp_from_samples,
    ".tif": tiff_from_samples,
    ".tiff": tiff_from_samples,
}
SUFFIXES_OF_16_BIT = frozenset({".png", ".tif", ".tiff"})
SUFFIXES_WITH_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff"})


def _pillow(samples: NDArray[Any], kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(stream, kind, **options)
    return stream.getvalue()
