"""The closed table of degradations: what each task and strength means, and where its numbers come from.

(*) marks numbers from general knowledge of the paper; the others were set so that the PSNR of the input, on
photographs, comes near that of the named test set.
"""

from __future__ import annotations

from moceir_edge.data.camera import Darkness, Noise, Shake
from moceir_edge.data.weather import Haze, Rain, Snow
from moceir_edge.errors import InputError
from moceir_edge.terms import NOISE_SIGMA, Task

Degradation = Noise | Rain | Haze | Shake | Darkness | Snow

STANDARD = "standard"
"""The strength of a task that has one only: the noise levels."""

DEGRADATIONS: dict[tuple[Task, str], Degradation] = {
    **{(task, STANDARD): Noise(sigma) for task, sigma in NOISE_SIGMA.items()},
    # Rain100L (Yang et al., CVPR 2017): streaks of one direction; inputs near 26 dB.
    (Task.DERAIN, "light"): Rain(
        drops=2.2, length_px=(18, 36), width_px=0.8, brightness=(0.15, 0.5), directions=1, slant_deg=20
    ),
    # Rain100H (same paper): long bright streaks of up to five directions; inputs near 12 dB.
    (Task.DERAIN, "heavy"): Rain(
        drops=9, length_px=(24, 60), width_px=1.1, brightness=(0.25, 0.7), directions=3, slant_deg=25
    ),
    # CDD-11 (Guo et al., ECCV 2024), x + mask: a dense veil of fine streaks, nearly vertical.
    (Task.DERAIN, "cdd11"): Rain(
        drops=40, length_px=(14, 40), width_px=0.6, brightness=(0.05, 0.2), directions=1, slant_deg=12
    ),
    # RESIDE ITS and SOTS-indoor (Li et al., TIP 2019): beta 0.6 to 1.8, A 0.7 to 1 (*); inputs near 12 dB.
    (Task.DEHAZE, "indoor"): Haze(beta=(0.6, 1.8), airlight=(0.7, 1.0), depth=(0.1, 1.0)),
    # RESIDE OTS and SOTS-outdoor (same paper): beta 0.04 to 0.2, A 0.8 to 1 (*); inputs near 16 dB.
    (Task.DEHAZE, "outdoor"): Haze(beta=(0.04, 0.2), airlight=(0.8, 1.0), depth=(0.5, 4.5)),
    # CDD-11: beta 1 to 2, A 0.6 to 0.9, the depth cut at 0.7.
    (Task.DEHAZE, "cdd11"): Haze(beta=(1.0, 2.0), airlight=(0.6, 0.9), depth=(0.0, 0.7)),
    # Hand-held shots: a short path; inputs near 27 dB.
    (Task.DEBLUR, "light"): Shake(reach_px=(5, 10), steps=200, turn=0.35),
    # The eight kernels of Levin et al., CVPR 2009, fill 13 to 27 pixels.
    (Task.DEBLUR, "levin"): Shake(reach_px=(12, 25), steps=300, turn=0.35),
    # Dusk: gamma correction as in LLNet (Lore et al., Pattern Recognition 2017), the mild half of its 2 to 5 (*).
    (Task.LOWLIGHT, "dim"): Darkness(gamma=(2.0, 3.0), gain=(0.8, 1.0), shot=0.02, read=(0.005, 0.01)),
    # LOL (Wei et al., BMVC 2018): nearly black inputs, near 7.5 dB; the model is that of MBLLEN (Lv et al., BMVC 2018).
    (Task.LOWLIGHT, "lol"): Darkness(gamma=(1.5, 2.5), gain=(0.1, 0.25), shot=0.03, read=(0.003, 0.008)),
    # CDD-11: R L^g + noise with g 2 to 3 and sigma 0.03 to 0.08.
    (Task.LOWLIGHT, "cdd11"): Darkness(gamma=(2.0, 3.0), gain=(1.0, 1.0), shot=0.0, read=(0.03, 0.08)),
    # Snow100K-S (Liu et al., TIP 2018): small flakes only.
    (Task.DESNOW, "light"): Snow(flakes=7, radius_px=(0.6, 1.6), opacity=(0.4, 0.9), fall_px=3),
    # Snow100K-L (same paper): flakes of all sizes; inputs near 18 dB.
    (Task.DESNOW, "heavy"): Snow(flakes=16, radius_px=(0.7, 5.0), opacity=(0.5, 1.0), fall_px=7),
    # CDD-11, x (1 - m) + m with masks of Snow100K.
    (Task.DESNOW, "cdd11"): Snow(flakes=9, radius_px=(0.6, 3.5), opacity=(0.4, 0.95), fall_px=4),
}


def strengths_of(task: Task) -> tuple[str, ...]:
    """The names of the strengths of a task."""
    return tuple(strength for known, strength in DEGRADATIONS if known is task)


def degradation_of(task: Task, strength: str) -> Degradation:
    """The parameters of a strength; InputError names the ones there are."""
    found = DEGRADATIONS.get((task, strength))
    if found is None:
        raise InputError(f"{task} has no strength '{strength}'", f"use one of {', '.join(strengths_of(task))}")
    return found
