"""Picture files of 8 bit, read upright and written whole or not at all, with Pillow alone."""

from __future__ import annotations

import os
import tempfile
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from problem import BadPicture, Problem, refusal

try:
    from PIL import Image
except ImportError as error:
    raise Problem("Pillow does not load ({}); python3 -m pip install Pillow".format(error)) from error

MAX_PIXELS = 2**26
"""8192x8192: its float32 pixels fill 805 MB."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
WRITTEN = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_deflate"},
}
ORIENTATION = 274
"""EXIF tag (CIPA DC-008)."""

BIT_DEPTH = slice(24, 25)
"""Where the IHDR of a PNG keeps its bit depth (PNG specification 11.2.2)."""

BITS_PER_SAMPLE = 258
"""TIFF tag."""

Picture = namedtuple("Picture", ("pixels", "alpha", "icc_profile"))
"""pixels: (3, H, W) float32 in [0, 1]; alpha: (H, W) uint8 or None; icc_profile: what is written back, or None."""


COLOURS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
"""Pillow's names of what is read; what they leave out, the package reads."""


def read_picture(path):
    """A PNG, JPEG, WebP or TIFF; its size is checked before any pixel is decoded."""
    with header(path) as image:
        return decoded(image)


def require_picture(path):
    """Problem for what `read_picture` would refuse by the header alone; no pixel is decoded."""
    with header(path):
        pass


@contextmanager
def header(path):
    """An open picture that is one of ours; whatever is wrong with it, here or in the block, is a Problem."""
    if path.suffix.lower() not in FORMATS:
        raise Problem("{}: not a picture by its name; give one of {}".format(path, ", ".join(FORMATS)))
    try:
        with opened(path) as image:
            require_plain(image, path)
            yield image
    except (Problem, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise Problem("{}: cannot be read: {}; check the path".format(path, error.strerror)) from error
        raise damaged(path, error) from error
    except Exception as error:  # decoders answer damaged bytes with SyntaxError, struct.error, ValueError and others
        raise damaged(path, error) from error


def opened(path):
    """The header, by content and not by suffix; nothing but the plugin for it is loaded, which takes its time."""
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        from PIL.PngImagePlugin import PngImageFile as Kind
    elif head.startswith(b"\xff\xd8\xff"):
        from PIL.JpegImagePlugin import JpegImageFile as Kind
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        from PIL.WebPImagePlugin import WebPImageFile as Kind
    elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from PIL.TiffImagePlugin import TiffImageFile as Kind
    else:
        raise Problem("{}: not a PNG, JPEG, WebP or TIFF picture; give one".format(path))
    return Kind(str(path))


def damaged(path, error):
    """A Problem in words."""
    reason = str(error) or type(error).__name__
    return BadPicture("{}: damaged or incomplete: {}; copy or export the picture again".format(path, reason))


def require_plain(image, path):
    """Problem for pictures that are empty, huge, moving, of 16 bit or other colours, or cannot be written again."""
    width, height = image.size
    if width < 1 or height < 1:
        raise Problem("{}: has no pixels ({}x{}); export the picture again".format(path, width, height))
    if width * height > MAX_PIXELS:
        text = "{}: {}x{} is {} pixels, and the limit is {}; scale or crop the picture first"
        raise Problem(text.format(path, width, height, width * height, MAX_PIXELS))
    if getattr(image, "n_frames", 1) > 1:
        text = "{}: holds {} pictures; save the one to use as a file of its own"
        raise Problem(text.format(path, image.n_frames))
    if is_deep(image, path):
        text = "{}: more than 8 bit a sample; save it in 8 bit, or use `moceir-edge restore`"
        raise Problem(text.format(path))
    if image.mode not in COLOURS:
        text = "{}: colours of kind {} are not supported; save it as 8 bit RGB, or use `moceir-edge restore`"
        raise Problem(text.format(path, image.mode))
    if FORMATS[path.suffix.lower()] == "JPEG" and is_clear(image):
        text = "{}: a {} with transparency by its content, which JPEG does not have; give it the suffix of what it is"
        raise Problem(text.format(path, image.format))


def is_clear(image):
    """Whether it has an alpha channel, or a colour that stands for none."""
    return image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info


def is_deep(image, path):
    """Whether a sample has more than 8 bit: Pillow would read most of these as 8 bit, without a word."""
    if image.format == "PNG":
        with path.open("rb") as stream:
            return stream.read(32)[BIT_DEPTH] == b"\x10"
    if image.format == "TIFF":
        return any(bits > 8 for bits in image.tag_v2.get(BITS_PER_SAMPLE, (1,)))
    return image.mode.startswith(("I", "F"))


def decoded(image):
    """The picture, upright; grey becomes three equal channels."""
    image.load()
    orientation = image.getexif().get(ORIENTATION, 1)  # after loading: Pillow turns a TIFF by itself
    icc_profile = image.info.get("icc_profile") or None
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    grey = image.mode in ("1", "L", "LA")
    pixels = upright(np.asarray(image.convert("RGB")), orientation)
    return Picture(
        np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(255),
        None if alpha is None else upright(np.asarray(alpha), orientation),
        None if grey else icc_profile,  # a profile of grey means nothing in RGB
    )


def upright(samples, orientation):
    """Undo the turn and mirroring that EXIF orientation 1 to 8 names."""
    if orientation in (5, 6, 7, 8):
        samples = np.swapaxes(samples, 0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def write_picture(picture, path):
    """Write round(255 clip(x)); no EXIF is written, so neither is a place."""
    samples = np.rint(np.clip(picture.pixels, 0, 1).transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
    kind = FORMATS[path.suffix.lower()]
    if picture.alpha is not None:
        samples = np.concatenate([samples, picture.alpha[..., None]], axis=2)
    options = dict(WRITTEN[kind])
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".moceir-edge-", suffix=path.suffix, dir=str(path.parent))
    except OSError as error:
        raise refusal(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            Image.fromarray(np.ascontiguousarray(samples)).save(stream, kind, **options)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        if Path(name).exists():
            Path(name).unlink()
