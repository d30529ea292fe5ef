"""Depthwise convolution whose weights are learned faster on CPUs.

PyTorch's CPU kernels for the gradient of depthwise weights stop at 3x3: larger ones take a generic path, 20 to 60 times
as long as the convolution itself. Here that gradient is a few matrix products, one for each row of the kernel: segments
of the input's rows against those of the result's gradient, whose diagonals are summed up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FAST_SIDE = 3
"""Up to this side the library has a kernel of its own."""

SEGMENT = 16
"""Pixels of a row at once: of longer ones, most products lie beside the diagonals that are wanted."""


class DepthwiseConv(nn.Conv2d):
    """side x side convolution of each channel by itself, with zero padding that keeps the size."""

    def __init__(self, channels: int, side: int, *, bias: bool = False) -> None:
        super().__init__(channels, channels, side, padding=side // 2, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        if not learns or x.device.type != "cpu" or self.kernel_size[0] <= FAST_SIDE or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        result: Tensor = _Depthwise.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        [gradient] = gradients
        to_input = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            flipped = weight.flip(2, 3)
            to_input = functional.conv2d(gradient, flipped, padding=weight.shape[-1] // 2, groups=weight.shape[0])
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(x, gradient, weight.shape[-1])
        if ctx.needs_input_grad[2]:
            to_bias = gradient.sum((0, 2, 3))
        return to_input, to_weight, to_bias


def weight_gradient(x: Tensor, gradient: Tensor, side: int) -> Tensor:
    """(C, 1, side, side): sum over pictures and pixels of the shifted input times the result's gradient.

    x, gradient: (N, C, H, W).
    """
    count, channels, height, width = x.shape
    segment = max(length for length in range(1, min(SEGMENT, width) + 1) if width % length == 0)
    half, segments, wide = side // 2, width // segment, segment + side - 1
    padded = functional.pad(x.contiguous(), (half, half, half, half)).unfold(3, wide, segment)
    shifted = padded.reshape(count * channels, (height + 2 * half) * segments, wide)
    rows = gradient.reshape(count * channels, height * segments, segment)
    shape, strides = (count, channels, side, segment), (channels * wide * segment, wide * segment, segment, segment + 1)
    taps = []
    for row in range(side):
        products = torch.bmm(shifted[:, row * segments : (row + height) * segments].transpose(1, 2), rows)
        taps.append(products.as_strided(shape, strides).sum((0, 3)))  # diagonals of (N C, wide, segment)
    return torch.stack(taps, 1)[:, None]
