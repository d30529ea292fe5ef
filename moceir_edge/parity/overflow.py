"""Whether float16 can overflow: every operation outside the float32 islands bounded, then rounded, on hard pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moceir_edge.artifacts import OverflowBound
from moceir_edge.data.stress import STRESS, stress_picture
from moceir_edge.metrics import finite, psnr_db
from moceir_edge.program.bounds import measure_bounds
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.islands import ISLAND_LIMIT, Placed, place_islands
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe, Size
from moceir_edge.runner import Image
from moceir_edge.terms import Progress, silent

LARGEST = (1080, 1920)
"""Height and width up to which float16 is bounded where a recipe of any size says nothing else."""

SMALL = 256
"""Side of the other pictures that float16 is bounded on where the size is open."""

REAL = "real picture"


@dataclass(frozen=True)
class Settled:
    """Which operations became islands, and the bounds of all others, on each picture."""

    placed: Placed
    overflow: tuple[OverflowBound, ...]


@dataclass(frozen=True)
class _Measured:
    picture: str
    size: Size
    bounds: Mapping[str, float]
    image: Tensor
    restored: Tensor


def bound_overflow(program: Program, image: Image, *, picture: str = REAL) -> OverflowBound:
    """The largest bound outside the islands; image: (3, H, W) of a served size."""
    return _recorded(_measured(program, picture, image), program, parity_db=None)


def largest_size(recipe: Recipe) -> Size:
    """(height, width) of the largest picture that float16 is bounded on."""
    return recipe.overflow_size or recipe.fixed_size or LARGEST


def island_sizes(recipe: Recipe) -> tuple[Size, ...]:
    """The sizes that place islands: those that the artifact is made for, or a small one and the largest."""
    largest = largest_size(recipe)
    if recipe.fixed_size is not None:
        return (recipe.fixed_size, *recipe.coreml_options.more_sizes)
    small = (min(SMALL, largest[0]), min(SMALL, largest[1]))
    return tuple(dict.fromkeys((small, largest)))


def settle_islands(program: Program, real: Image, sizes: tuple[Size, ...], *, progress: Progress = silent) -> Settled:
    """Bound a program (whose only input is the picture), place its islands, and run it rounded to float16.

    real: (3, H, W), repeated by reflection to each size; the stress pictures come with it at the first size, and at the
    others the one with the largest bound there: at 1920x1080 a picture takes two minutes.
    """
    first, *others = sizes
    measured = [
        _measured(program, name, _picture(real, name, first)) for name in progress((*STRESS, REAL), "bounding float16")
    ]
    known = {found.picture: max(found.bounds.values(), default=0.0) for found in measured}
    worst = max(STRESS, key=lambda name: known[name])
    for name, size in progress([(name, size) for size in others for name in (worst, REAL)], "bounding float16, large"):
        measured.append(_measured(program, name, _picture(real, name, size), known=known[name]))
    placed = place_islands(program, _largest(measured))
    half = StaticNetwork(placed.program, half=True)
    overflow = [
        _recorded(found, placed.program, parity_db=_parity_db(half, found))
        for found in progress(measured, "rounding to float16")
    ]
    return Settled(placed, tuple(overflow))


def _largest(measured: Sequence[_Measured]) -> dict[str, float]:
    """Of each operation, over all pictures."""
    largest: dict[str, float] = {}
    for found in measured:
        largest |= {name: max(bound, largest.get(name, 0.0)) for name, bound in found.bounds.items()}
    return largest


def _picture(real: Image, name: str, size: Size) -> Image:
    return repeated(real, size) if name == REAL else stress_picture(name, *size)


def _measured(program: Program, picture: str, image: Image, *, known: float = 0.0) -> _Measured:
    batch = torch.from_numpy(image)[None]
    bounds, restored = measure_bounds(program, batch, limit=ISLAND_LIMIT, known=known)
    return _Measured(picture, (image.shape[1], image.shape[2]), bounds, batch, restored)


def _recorded(found: _Measured, program: Program, *, parity_db: float | None) -> OverflowBound:
    """Four digits are kept: the last ones depend on the threads that added up."""
    islands = frozenset(program.islands)
    outside = ((bound, name) for name, bound in found.bounds.items() if name not in islands)
    bound, name = max(outside, default=(0.0, ""))
    kept = min(float(f"{bound:.4g}"), float(np.finfo(np.float64).max))
    return OverflowBound(picture=found.picture, size=found.size, bound=kept, operation=name, parity_db=parity_db)


def _parity_db(half: StaticNetwork, found: _Measured) -> float | None:
    with torch.inference_mode():
        rounded = half(found.image)["restored"]
    parity_db = finite(psnr_db(found.restored.numpy(), rounded.numpy()))
    return None if parity_db is None else round(parity_db, 1)


def repeated(image: Image, size: Size) -> Image:
    """(3, H, W) repeated by reflection to the right and below, or cut, to `size`."""
    rows, columns = (max(0, want - have) for want, have in zip(size, image.shape[1:], strict=True))
    grown = np.pad(image, ((0, 0), (0, rows), (0, columns)), mode="symmetric")
    return np.ascontiguousarray(grown[:, : size[0], : size[1]])
