"""Make a degraded picture from a clean one, the same one for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import numpy as np

from moceir_edge.data.camera import Darkness, Field, Noise, Shake, darkened, noise_seed, noisy, shaken
from moceir_edge.data.degradations import Degradation, degradation_of
from moceir_edge.data.images import Pixels
from moceir_edge.data.weather import Haze, Rain, Snow, hazed, rained, snowed
from moceir_edge.errors import InputError
from moceir_edge.terms import Task

COMPOSITE_ORDER = (
    Task.DEBLUR,
    Task.LOWLIGHT,
    Task.DERAIN,
    Task.DESNOW,
    Task.DEHAZE,
    Task.DENOISE_15,
    Task.DENOISE_25,
    Task.DENOISE_50,
)
"""Low light, rain, snow, haze as in CDD-11; the blur of the scene first, the noise of the sensor last."""


def add_noise(clean: Pixels, sigma: int, *, file_name: str) -> Pixels:
    """The noisy picture of the published tests: clean + N(0, sigma), clipped, rounded to 8 bit.

    clean: (3, H, W) float32 in [0, 1]; sigma: in 8-bit steps
    The normals are float64, drawn in the order (H, W, 3) by numpy's default_rng; its seed comes from name and sigma.
    """
    random = np.random.default_rng(noise_seed(file_name, sigma))
    return _pixels_from_field(noisy(_field_from_pixels(clean), Noise(sigma), random))


def degrade(clean: Pixels, task: Task, strength: str, *, seed: int, depth: Field | None = None) -> Pixels:
    """Degrade a clean picture.

    clean: (3, H, W) float32 in [0, 1]
    depth: (H, W) in [0, 1], 0 near, for haze; a smooth one is made from the seed where there is none
    returns: (3, H, W) float32 in [0, 1], rounded to 8 bit as the degraded pictures of data sets are
    """
    if depth is not None and depth.shape != clean.shape[1:]:
        raise InputError(f"a depth map of {depth.shape} for a picture of {clean.shape[1:]}", "give one of equal size")
    random = np.random.default_rng(seed)
    return _pixels_from_field(_degraded(_field_from_pixels(clean), degradation_of(task, strength), random, depth))


def compose(clean: Pixels, strengths: Mapping[Task, str], *, seed: int) -> Pixels:
    """Degrade by several tasks at once, in `COMPOSITE_ORDER`; step i takes the seed (seed, i)."""
    result = clean
    for index, task in enumerate(task for task in COMPOSITE_ORDER if task in strengths):
        step_seed = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0])
        result = degrade(result, task, strengths[task], seed=step_seed)
    return result


def _degraded(clean: Field, kind: Degradation, random: np.random.Generator, depth: Field | None) -> Field:
    match kind:
        case Noise():
            return noisy(clean, kind, random)
        case Shake():
            return shaken(clean, kind, random)
        case Darkness():
            return darkened(clean, kind, random)
        case Rain():
            return rained(clean, kind, random)
        case Snow():
            return snowed(clean, kind, random)
        case Haze():
            return hazed(clean, kind, random, depth)
        case _:
            assert_never(kind)


def _field_from_pixels(pixels: Pixels) -> Field:
    # times 255 in float32, so that 8-bit samples are whole numbers again before anything is added to them
    return (pixels.transpose(1, 2, 0) * np.float32(255)).astype(np.float64) / 255


def _pixels_from_field(field: Field) -> Pixels:
    """Clip, round to 8 bit, (3, H, W)."""
    rounded = np.rint(np.clip(field, 0.0, 1.0) * 255).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(rounded.transpose(2, 0, 1))
