"""The golden pictures of a bundle: what the device makes of them, against what the full model made of them."""

from __future__ import annotations

import math

import numpy as np
from pictures import run_padded
from problem import Problem


def golden_rows(folder, manifest, backend):
    """A row for each golden picture: name, task, finite, psnr_db (None where equal or not finite), agreement."""
    return [golden_row(folder, golden, backend) for golden in manifest["golden"]]


def golden_row(folder, golden, backend):
    """PSNR to the full model's output, peak 1, nothing clipped."""
    image, reference = read_pair(folder, golden)
    restored, agreement = run_padded(backend.run, image, backend.size)
    finite = bool(np.isfinite(restored).all() and np.isfinite(reference).all())
    error = float(np.mean((restored.astype(np.float64) - reference) ** 2)) if finite else 0.0
    psnr_db = -10 * math.log10(error) if error > 0 else None
    known = agreement is not None and math.isfinite(agreement)
    return {
        "name": golden["name"],
        "task": golden["task"],
        "finite": finite,
        "psnr_db": psnr_db,
        "agreement": agreement if known else None,
    }


def read_pair(folder, golden):
    """(image, the full model's output), both (3, H, W) float32."""
    try:
        image = np.load(str(folder / golden["input"]), allow_pickle=False)[0]
        reference = np.load(str(folder / golden["reference"]), allow_pickle=False)[0]
    except (OSError, ValueError, IndexError) as error:
        raise Problem("{}: no golden picture ({}); make the bundle again".format(golden["input"], error)) from error
    if image.ndim != 3 or image.shape != reference.shape:
        text = "{}: golden picture of {}, and reference of {}; make the bundle again"
        raise Problem(text.format(golden["input"], image.shape, reference.shape))
    return image.astype(np.float32) / np.float32(255), reference


def missed(manifest, rows):
    """What is wrong with golden pictures, a line for each."""
    for golden, row in zip(manifest["golden"], rows):
        floor = golden.get("floor_db")
        if not row["finite"]:
            yield "{}: holds NaN or infinity".format(row["name"])
        elif floor is not None and row["psnr_db"] is not None and row["psnr_db"] < floor:
            yield "{}: {:.2f} dB to the full model, and at least {:.1f} were expected".format(
                row["name"], row["psnr_db"], floor
            )
