"""What a camera does to a picture: noise, shake and too little light."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
"""(H, W, 3) for a picture and (H, W) for a map, float64: results do not depend on the order of float32 sums."""


@dataclass(frozen=True)
class Noise:
    """White Gaussian noise; `sigma` in 8-bit steps."""

    sigma: int


@dataclass(frozen=True)
class Shake:
    """Motion blur by a random walk of the camera; `reach_px` is the longer side of its path, lowest and highest."""

    reach_px: tuple[float, float]
    steps: int
    turn: float
    """Standard deviation of the change of direction per step, in radians."""


@dataclass(frozen=True)
class Darkness:
    """Low light by Retinex, R L becomes gain R L^gamma, then signal-dependent and constant noise.

    Ranges are lowest and highest.
    """

    gamma: tuple[float, float]
    gain: tuple[float, float]
    shot: float
    """Standard deviation of the noise of a fully bright pixel that grows with the root of the light."""
    read: tuple[float, float]
    """Standard deviation of the constant noise."""


def noise_seed(file_name: str, sigma: int) -> int:
    """First 8 bytes, little endian, of sha256("<file name>:<sigma>")."""
    return int.from_bytes(hashlib.sha256(f"{file_name}:{sigma}".encode()).digest()[:8], "little")


def noisy(clean: Field, noise: Noise, random: np.random.Generator) -> Field:
    """Add noise; the normals are drawn in the order (H, W, 3), channel fastest."""
    return clean + random.normal(0.0, noise.sigma, clean.shape) / 255


def shaken(clean: Field, shake: Shake, random: np.random.Generator) -> Field:
    """Blur by one random camera path; borders are mirrored."""
    from scipy.signal import oaconvolve

    kernel = shake_kernel(shake, random)
    margin = kernel.shape[0] // 2
    padded = np.pad(clean, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    blurred: Field = oaconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1))
    return blurred


def shake_kernel(shake: Shake, random: np.random.Generator) -> Field:
    """Kernel (K, K), K odd, of sum 1, centred on its centroid.

    The path turns smoothly and pauses at random, as in the measured kernels of Levin et al., CVPR 2009.
    """
    turns = np.cumsum(np.cumsum(random.normal(0.0, shake.turn, shake.steps)) / np.sqrt(shake.steps))
    direction = random.uniform(0.0, 2 * np.pi) + turns
    speed = random.gamma(2.0, 0.5, shake.steps)
    path = np.cumsum(np.stack([speed * np.sin(direction), speed * np.cos(direction)], axis=1), axis=0)
    span = np.ptp(path, axis=0).max()
    path = (path - path.mean(axis=0)) * (random.uniform(*shake.reach_px) / span)
    return _splatted(path)


def _splatted(path: Field) -> Field:
    """Spread the points (N, 2) of a path over the pixels around them by bilinear weights."""
    radius = int(np.ceil(np.abs(path).max())) + 1
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    corner = np.floor(path).astype(np.int64)
    share = path - corner
    for row in (0, 1):
        for column in (0, 1):
            weight = np.abs(1 - row - share[:, 0]) * np.abs(1 - column - share[:, 1])
            np.add.at(kernel, (corner[:, 0] + row + radius, corner[:, 1] + column + radius), weight)
    unit: Field = kernel / kernel.sum()
    return unit


def darkened(clean: Field, darkness: Darkness, random: np.random.Generator) -> Field:
    """Little light with shot and read noise; L is the brightest channel (Guo et al., LIME, TIP 2017), so hues stay."""
    light = clean.max(axis=2, keepdims=True)
    dark = random.uniform(*darkness.gain) * clean * light ** (random.uniform(*darkness.gamma) - 1)
    deviation = np.sqrt(darkness.shot**2 * dark + random.uniform(*darkness.read) ** 2)
    return dark + deviation * random.standard_normal(dark.shape)
