"""What training minimizes (paper, section 3.4; the network's balance loss is added to it)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Part(NamedTuple):
    """A part of the loss: the name it is logged by, its weight, and its value, a scalar."""

    name: str
    weight: float
    value: Tensor


def pixel_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (restored - target).abs().mean()


def frequency_loss(restored: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the unnormalized rfft2, its real and imaginary parts as elements of their own."""
    difference = torch.fft.rfft2((restored - target).float())
    return torch.view_as_real(difference).abs().mean()
