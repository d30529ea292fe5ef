"""What a quantized convolution reads, weighs and writes: the rounding of its values to few bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from moceir_edge.compress.stored_weights import in_steps
from moceir_edge.recipe.schema import Recipe
from moceir_edge.terms import Precision, TargetName

LEVELS = 127
"""Steps of a symmetric signed 8-bit integer on each side of zero."""

WIDE_LEVELS = 2**15 - 1
"""Of a 16-bit one."""

REDUCED_LEVELS = 63
"""Steps of a weight that leaves one bit free: x86 without VNNI adds pairs of products up in 16 bits, which saturate.

Depthwise convolutions keep all steps: their kernels widen first, and NNCF leaves them alone.
"""

LARGEST_FLOAT8 = 448.0
"""Of float8_e4m3fn: 4 bits of exponent, 3 of mantissa, no infinity."""


class Rounding(Protocol):
    """To the values that a format holds; what is beyond its range saturates. `name` is what people call it."""

    @property
    def name(self) -> str: ...

    def activations(self, x: Tensor, span: float) -> Tensor:
        """What a convolution reads or writes, in a range up to `span`."""
        ...

    def weights(self, weight: Tensor, *, groups: int) -> Tensor:
        """Weights (O, I/groups, k, k) of a convolution, in ranges of their own."""
        ...


_LEAST_STEP = float(np.finfo(np.float16).smallest_normal)
"""A smaller step would be a denormal number of float16, which a device may take for 0."""


def half_span(span: float) -> float:
    """A range, a little larger, whose 8-bit step is a number of float16."""
    wanted = max(span / LEVELS, _LEAST_STEP)
    near = np.float16(min(wanted, float(np.finfo(np.float16).max)))
    return float(near if float(near) >= wanted else np.nextafter(near, np.float16(np.inf))) * LEVELS


@dataclass(frozen=True)
class Integers:
    """Symmetric integers with so many steps on each side of zero; weights with a scale per output channel."""

    dense_levels: int = LEVELS
    activation_levels: int = LEVELS

    @property
    def name(self) -> str:
        """As a recipe says it."""
        return Precision.INT8.value

    def activations(self, x: Tensor, span: float) -> Tensor:
        """See `Rounding`."""
        return rounded(x, span, self.activation_levels)

    def weights(self, weight: Tensor, *, groups: int) -> Tensor:
        """See `Rounding`."""
        levels = self.dense_levels if groups == 1 else LEVELS
        return rounded(weight, weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(_TINY), levels)


@dataclass(frozen=True)
class HalfSteps:
    """8-bit symmetric integers whose scales are numbers of float16, as Core ML stores them."""

    @property
    def name(self) -> str:
        """As a recipe says it."""
        return Precision.INT8.value

    def activations(self, x: Tensor, span: float) -> Tensor:
        """See `Rounding`."""
        return rounded(x, half_span(span))

    def weights(self, weight: Tensor, *, groups: int) -> Tensor:
        """See `Rounding`."""
        del groups
        return torch.from_numpy(in_steps(weight.numpy(), half=True)[0])


@dataclass(frozen=True)
class Floats8:
    """float8_e4m3fn; weights with one scale for all channels."""

    @property
    def name(self) -> str:
        """As a recipe says it."""
        return Precision.FP8.value

    def activations(self, x: Tensor, span: float) -> Tensor:
        """See `Rounding`."""
        return rounded_float8(x, span)

    def weights(self, weight: Tensor, *, groups: int) -> Tensor:
        """See `Rounding`."""
        del groups
        return rounded_float8(weight, weight.abs().amax().clamp_min(_TINY))


INT8 = Integers()
_TINY = torch.finfo(torch.float32).tiny


def rounding_of(recipe: Recipe) -> Rounding:
    """As a recipe says, which is of a precision in 8 bits."""
    if recipe.precision is Precision.FP8:
        return Floats8()
    if recipe.target is TargetName.COREML:
        return HalfSteps()
    options = recipe.quantize_options
    return Integers(
        dense_levels=REDUCED_LEVELS if options.reduced_range else LEVELS,
        activation_levels=WIDE_LEVELS if options.activation_bits == 16 else LEVELS,
    )


def rounded(x: Tensor, span: Tensor | float, levels: int = LEVELS) -> Tensor:
    """To the steps of a symmetric integer of `levels` on each side whose range is `span`; beyond it saturates."""
    step = span / levels
    return torch.clamp(torch.round(x / step), -levels - 1, levels) * step


def rounded_float8(x: Tensor, span: Tensor | float) -> Tensor:
    """To float8_e4m3fn scaled so that its largest number is `span`; beyond it saturates, as QuantizeLinear does."""
    step = span / LARGEST_FLOAT8
    return torch.clamp(x / step, -LARGEST_FLOAT8, LARGEST_FLOAT8).to(torch.float8_e4m3fn).to(x.dtype) * step
