"""What the air does to a picture: rain, haze and snow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moceir_edge.data.camera import Field

NEAR_TO_FAR = (1.0, 0.6, 0.35)
"""Relative size of the drops and flakes of three layers of air."""
STREAKS_AT_ONCE = 4
"""Kernels of slightly different length and angle per layer."""


@dataclass(frozen=True)
class Rain:
    """Streaks that are added to the picture, x + r; ranges are lowest and highest."""

    drops: float
    """Drops per 1000 pixels, over all layers."""
    length_px: tuple[float, float]
    width_px: float
    brightness: tuple[float, float]
    directions: int
    """How many winds blow at once."""
    slant_deg: float
    """Largest angle from the vertical."""


@dataclass(frozen=True)
class Haze:
    """Scattering x t + A (1 - t), t = exp(-beta d); depth d in [0, 1] is scaled to `depth`."""

    beta: tuple[float, float]
    airlight: tuple[float, float]
    depth: tuple[float, float]


@dataclass(frozen=True)
class Snow:
    """Flakes that cover the picture, x (1 - m) + m; ranges are lowest and highest."""

    flakes: float
    """Flakes per 1000 pixels, over all layers."""
    radius_px: tuple[float, float]
    opacity: tuple[float, float]
    fall_px: float
    """How far the nearest flakes move during the exposure."""


def rained(clean: Field, rain: Rain, random: np.random.Generator) -> Field:
    """Add rain streaks of one or several winds."""
    slants = np.radians(random.uniform(-rain.slant_deg, rain.slant_deg, rain.directions))
    streaks = np.zeros(clean.shape[:2])
    for slant in slants:
        for scale in NEAR_TO_FAR:
            streaks += _streak_layer(streaks.shape, rain, random, slant=slant, scale=scale)
    return clean + streaks[..., None]


def _streak_layer(
    shape: tuple[int, ...], rain: Rain, random: np.random.Generator, *, slant: float, scale: float
) -> Field:
    """One layer (H, W) of streaks; far drops are smaller, fainter and more."""
    from scipy.signal import oaconvolve

    per_layer = rain.drops / 1000 / (rain.directions * len(NEAR_TO_FAR) * STREAKS_AT_ONCE * scale)
    layer = np.zeros(shape)
    for _ in range(STREAKS_AT_ONCE):
        length = scale * random.uniform(*rain.length_px)
        kernel = streak(length, max(rain.width_px * scale, 0.45), slant + random.normal(0.0, 0.02))
        impulses = (random.random(shape) < per_layer) * random.uniform(*rain.brightness, shape)
        layer += oaconvolve(impulses, kernel, mode="same")
    faint: Field = scale**0.5 * np.maximum(layer, 0)
    return faint


def streak(length_px: float, width_px: float, slant: float) -> Field:
    """The picture of one falling drop: a line with soft sides and ends, its brightest pixel 1.

    slant: radians from the vertical
    """
    radius = int(np.ceil(length_px / 2 + 3 * width_px))
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    along = rows * np.cos(slant) + columns * np.sin(slant)
    across = columns * np.cos(slant) - rows * np.sin(slant)
    ends = np.clip(length_px / 2 + 0.5 - np.abs(along), 0.0, 1.0) * (1 - 0.5 * np.abs(along) / radius)
    profile = ends * np.exp(-0.5 * (across / width_px) ** 2)
    normalized: Field = profile / profile.max()
    return normalized


def hazed(clean: Field, haze: Haze, random: np.random.Generator, depth: Field | None) -> Field:
    """Haze by the scattering model; without a depth map (0 near, 1 far) a smooth one is made."""
    distance = smooth_depth(clean.shape[:2], random) if depth is None else depth
    near, far = haze.depth
    transmission = np.exp(-random.uniform(*haze.beta) * (near + (far - near) * distance))[..., None]
    result: Field = clean * transmission + random.uniform(*haze.airlight) * (1 - transmission)
    return result


def smooth_depth(shape: tuple[int, ...], random: np.random.Generator) -> Field:
    """A depth map (H, W) in [0, 1]: ground that recedes to a horizon, with large soft shapes standing on it."""
    from scipy.ndimage import gaussian_filter, zoom

    height, width = shape
    horizon = random.uniform(0.25, 0.5)
    rows = np.linspace(0.0, 1.0, height)[:, None]
    ground = np.clip((1 - rows) / (1 - horizon), 0.0, 1.0)
    coarse = gaussian_filter(random.standard_normal((8, 12)), 1.0)
    shapes = zoom(coarse, (height / 8, width / 12), order=3, mode="nearest", grid_mode=True)
    depth = ground + 0.35 * shapes / np.abs(shapes).max()
    unit: Field = (depth - depth.min()) / np.ptp(depth)
    return unit


def snowed(clean: Field, snow: Snow, random: np.random.Generator) -> Field:
    """Cover the picture with falling flakes of several sizes."""
    mask = snow_mask(clean.shape[:2], snow, random)[..., None]
    return clean * (1 - mask) + mask


def snow_mask(shape: tuple[int, ...], snow: Snow, random: np.random.Generator) -> Field:
    """Opacity (H, W) in [0, 1] of all flakes together; near flakes are large, soft, few and fast."""
    from scipy.signal import oaconvolve

    slant = random.uniform(-0.6, 0.6)
    clear = np.ones(shape)
    sizes = np.geomspace(*snow.radius_px, num=5)
    weights = 1 / sizes**2
    for radius, share in zip(sizes, weights / weights.sum(), strict=True):
        kernel = flake(radius, snow.fall_px * radius / sizes[-1], slant + random.normal(0.0, 0.15))
        opacity = random.uniform(*snow.opacity, shape) * (sizes[0] / radius) ** 0.25
        impulses = (random.random(shape) < share * snow.flakes / 1000) * opacity
        clear *= 1 - np.clip(oaconvolve(impulses, kernel, mode="same"), 0.0, 1.0)
    return 1 - clear


def flake(radius_px: float, fall_px: float, slant: float) -> Field:
    """The picture of one flake: a disc with a soft rim, drawn out along its fall; its brightest pixel is 1."""
    reach = int(np.ceil(radius_px * 1.5 + fall_px / 2)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = rows * np.cos(slant) + columns * np.sin(slant)
    across = columns * np.cos(slant) - rows * np.sin(slant)
    distance = np.hypot(across, np.maximum(np.abs(along) - fall_px / 2, 0.0))
    rim = 0.35 * radius_px + 0.4
    disc: Field = np.clip((radius_px + rim - distance) / (2 * rim), 0.0, 1.0)
    return disc
