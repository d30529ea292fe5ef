"""Colours: from a file's samples and ICC profile to sRGB, and back into that profile."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RELATIVE_COLORIMETRIC = 1
BLACK_POINT_COMPENSATION = 0x2000
"""lcms2.h: INTENT_RELATIVE_COLORIMETRIC, cmsFLAGS_BLACKPOINTCOMPENSATION."""
SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
"""Samples per colour by the data colour space in an ICC header (ICC.1:2022, 7.2.6)."""
SAME_AS_SRGB = 1 / 255


def srgb_from_samples(samples: NDArray[Any], icc_profile: bytes | None) -> NDArray[np.float32]:
    """Convert samples to sRGB.

    samples: (H, W, C) uint8 or uint16, C 1 (grey), 3 (RGB) or 4 (CMYK); without a profile they are sRGB
    returns: (H, W, 3) float32 in [0, 1]; colours outside sRGB are clipped to it
    raises: ValueError when the profile is damaged or of other colours than the samples
    """
    channels = _profile_channels(icc_profile) if icc_profile else None
    if samples.shape[2] == 1 and channels == 3:
        samples = np.repeat(samples, 3, axis=2)
    if icc_profile is None or is_srgb(icc_profile):
        return _plain_rgb(samples)
    if channels != samples.shape[2]:
        raise ValueError(f"its colour profile is for {channels} channels, and it has {samples.shape[2]}")
    name = {1: "gray", 3: "rgb", 4: "cmyk"}[samples.shape[2]]
    colours = samples[..., 0] if samples.shape[2] == 1 else samples
    return np.clip(_transform(colours, icc_profile, _srgb_profile(), name), 0.0, 1.0)


def profile_from_srgb(pixels: NDArray[np.float32], icc_profile: bytes) -> NDArray[np.float32]:
    """Convert sRGB (H, W, 3) float32 in [0, 1] to the colours of an RGB profile, in the same range."""
    if is_srgb(icc_profile):
        return pixels
    return np.clip(_transform(pixels, _srgb_profile(), icc_profile, "rgb"), 0.0, 1.0)


def is_rgb(icc_profile: bytes) -> bool:
    """Whether the profile can be embedded in an RGB picture."""
    return icc_profile[16:20] == b"RGB "


@lru_cache(maxsize=16)
def is_srgb(icc_profile: bytes) -> bool:
    """Whether every colour is within one 8-bit step of sRGB, so that samples can pass untouched."""
    if not is_rgb(icc_profile):
        return False
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(27, 27, 3)
    return bool(np.abs(_transform(cube, icc_profile, _srgb_profile(), "rgb") - cube).max() <= SAME_AS_SRGB)


def _profile_channels(icc_profile: bytes) -> int:
    channels = SPACES.get(icc_profile[16:20])
    if channels is None:
        raise ValueError("its colour profile is damaged or of an unknown kind")
    return channels


def _plain_rgb(samples: NDArray[Any]) -> NDArray[np.float32]:
    """sRGB from samples without a profile; CMYK as R = (1 - C)(1 - K)."""
    unit = samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    if samples.shape[2] == 4:
        return (1 - unit[..., :3]) * (1 - unit[..., 3:])
    return np.broadcast_to(unit, (*unit.shape[:2], 3))


def _transform(colours: NDArray[Any], source: bytes, target: bytes, space: str) -> NDArray[np.float32]:
    """Colours (H, W, C) or (H, W) of `space` in the profile `source` to RGB float32 in the profile `target`."""
    from imagecodecs import CmsError, cms_transform

    try:
        return cms_transform(
            np.ascontiguousarray(colours),
            source,
            target,
            colorspace=space,
            outcolorspace="rgb",
            outdtype=np.float32,
            intent=RELATIVE_COLORIMETRIC,
            flags=BLACK_POINT_COMPENSATION,
        )
    except CmsError as error:
        raise ValueError("its colour profile is damaged") from error


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    from imagecodecs import cms_profile

    return cms_profile("srgb")
