"""What a layer reads and writes at the same pixels in two networks, whatever their channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from moceir_edge.network.depthwise import DepthwiseConv

SAMPLES = 6144
"""Pixels of a batch that are looked at, where it has more."""


def dense_layers(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Convolutions of all channels and linear layers, by name, in order of definition."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and not isinstance(module, DepthwiseConv)
    }


def sampled(values: Tensor) -> Tensor:
    """(N, C, H, W) -> (P, C) at `SAMPLES` pixels or all, the same ones for every such N, H and W; (N, C) as it is."""
    if values.dim() == 2:
        return values
    batch, channels, height, width = values.shape
    pixels = _pixels(batch, height, width)
    return values.permute(0, 2, 3, 1).reshape(-1, channels)[pixels]


def regressors(layer: nn.Conv2d | nn.Linear, inputs: Tensor) -> Tensor:
    """What the layer multiplies with its weight at the sampled pixels: (P, C k k), as the flattened weight has it."""
    if isinstance(layer, nn.Linear):
        return inputs
    side = layer.kernel_size[0]
    if side == 1:
        return sampled(inputs)
    channels, height, width = inputs.shape[1:]
    padded = functional.pad(inputs, (side // 2,) * 4)
    taps = [
        sampled(padded[:, :, row : row + height, column : column + width])
        for row in range(side)
        for column in range(side)
    ]
    return torch.stack(taps, 2).reshape(-1, channels * side * side)


def _pixels(batch: int, height: int, width: int) -> Tensor:
    count = batch * height * width
    if count <= SAMPLES:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(count))[:SAMPLES].sort().values
