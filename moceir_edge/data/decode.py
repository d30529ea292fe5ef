"""What a picture file holds: PNG, JPEG, WebP and TIFF, 8 and 16 bit, upright, before any colour conversion."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from moceir_edge.data.tiff16 import tiff16_samples
from moceir_edge.errors import MoceirEdgeError, PictureError

KINDS = "PNG, JPEG, WebP or TIFF"
NEW_SUBFILE_TYPE = 254
REDUCED_IMAGE = 1
PNG_BIT_DEPTH = slice(24, 25)
"""Where IHDR keeps the bit depth (PNG specification 11.2.2)."""


@dataclass(frozen=True)
class Decoded:
    """The samples of one picture.

    samples: (H, W, C) uint8 or uint16; C is 1 (grey), 3 (RGB) or 4 (CMYK, the largest value is full ink)
    alpha: (H, W) of the same type, not premultiplied, or None
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None
    icc_profile: bytes | None


def decode_picture(path: Path, *, max_pixels: int) -> Decoded:
    """Decode the picture at `path`; its size is checked before any pixel is decoded."""
    head = _head(path)
    with _refusing_damage(path), _opened(head, path) as image:
        _check_size(image, path, max_pixels)
        _check_frames(image, path)
        decoded = _decoded_16_bit(image, path) if _is_16_bit(image, head) else _decoded_8_bit(image, path)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        profile = image.info.get("icc_profile") or None
    return Decoded(
        samples=_upright(decoded.samples, orientation),
        alpha=None if decoded.alpha is None else _upright(decoded.alpha, orientation),
        icc_profile=profile,
    )


def _head(path: Path) -> bytes:
    """The first bytes of the file; PictureError when there are none."""
    try:
        with path.open("rb") as stream:
            head = stream.read(32)
    except OSError as error:
        raise PictureError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    if not head:
        raise PictureError(f"{path}: the file is empty", "copy the picture again")
    return head


def _opened(head: bytes, path: Path) -> ImageFile:
    """Read the header only; the format is decided by content, not by suffix."""
    # Not Image.open: that has a size limit of its own, and reads forty formats that nobody has asked for.
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(path)
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImageFile(path)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImageFile(path)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TiffImageFile(path)
    raise PictureError(f"{path}: not a {KINDS} picture", f"give {KINDS}")


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into PictureError; its warnings are not shown, since it is one or the other."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MoceirEdgeError:
        raise
    except MemoryError as error:
        raise PictureError(f"{path}: memory is short for reading it", "free some memory, or scale it down") from error
    # Decoders answer damaged bytes with SyntaxError, struct.error, zlib.error, ValueError, RuntimeError and others.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{path}: damaged or incomplete: {reason}", "copy or export the picture again") from error


def _check_size(image: ImageFile, path: Path, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(f"{path}: has no pixels ({width}x{height})", "copy or export the picture again")
    if width * height > max_pixels:
        raise PictureError(
            f"{path}: {width}x{height} is {width * height} pixels, and the limit is {max_pixels}",
            "scale or crop the picture first",
        )


def _check_frames(image: ImageFile, path: Path) -> None:
    """Refuse several pictures in one file; the thumbnails of a TIFF do not count."""
    frames: int = getattr(image, "n_frames", 1)
    if isinstance(image, TiffImageFile) and frames > 1:
        frames = sum(_is_full_page(image, index) for index in range(frames))
        image.seek(0)
    if frames > 1:
        raise PictureError(f"{path}: holds {frames} pictures", "save the one to use as a file of its own")


def _is_full_page(image: TiffImageFile, index: int) -> bool:
    image.seek(index)
    return not int(image.tag_v2.get(NEW_SUBFILE_TYPE, 0)) & REDUCED_IMAGE


def _is_16_bit(image: ImageFile, head: bytes) -> bool:
    """Pillow would read most of these as 8 bit, without a word."""
    if isinstance(image, PngImageFile):
        return head[PNG_BIT_DEPTH] == b"\x10"
    return isinstance(image, TiffImageFile) and any(bits > 8 for bits in image.tag_v2.get(BITSPERSAMPLE, (1,)))


def _decoded_8_bit(image: Image.Image, path: Path) -> Decoded:
    image.load()
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("La", "LA") else "RGBA")
    elif image.mode in ("1", "P", "YCbCr", "RGBX"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    samples = np.asarray(image)
    if image.mode == "L":
        return Decoded(samples[..., None], None, None)
    if image.mode in ("RGB", "CMYK"):
        return Decoded(samples, None, None)
    if image.mode in ("LA", "RGBA"):
        return Decoded(samples[..., :-1], samples[..., -1], None)
    raise PictureError(f"{path}: colours of kind {image.mode} are not supported", "save it as 8 or 16 bit RGB")


def _decoded_16_bit(image: ImageFile, path: Path) -> Decoded:
    if isinstance(image, TiffImageFile):
        return Decoded(*tiff16_samples(path), None)
    from imagecodecs import png_decode

    samples = np.atleast_3d(png_decode(path.read_bytes()))
    if samples.shape[2] in (2, 4):
        return Decoded(samples[..., :-1], samples[..., -1], None)
    return Decoded(samples, None, None)


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo the turn and mirroring that EXIF orientation 1 to 8 names (CIPA DC-008, tag 274)."""
    if orientation in (5, 6, 7, 8):
        samples = np.swapaxes(samples, 0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples
