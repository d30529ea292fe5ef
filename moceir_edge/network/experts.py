"""Complexity experts and the frequency attention inside them (paper, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from moceir_edge.network.architecture import ExpertShape
from moceir_edge.network.layers import ChannelNorm, depthwise, pointwise


def padding_to_multiple(length: int, multiple: int) -> int:
    """How much is missing to the next multiple."""
    return -length % multiple


def circular_convolution(q: Tensor, k: Tensor, window: int) -> Tensor:
    """Circular convolution of q with k in every window x window patch and channel: irfft2(rfft2 q * rfft2 k).

    q, k: (N, C, H, W); padded with zeros right and below to whole windows, the result is cropped back.
    """
    batch, channels, height, width = q.shape
    padding = (0, padding_to_multiple(width, window), 0, padding_to_multiple(height, window))
    q, k = functional.pad(q, padding), functional.pad(k, padding)
    rows, columns = q.shape[2] // window, q.shape[3] // window
    patches = (batch, channels, rows, window, columns, window)
    spectrum = torch.fft.rfft2(q.reshape(patches), dim=(3, 5)) * torch.fft.rfft2(k.reshape(patches), dim=(3, 5))
    product = torch.fft.irfft2(spectrum, s=(window, window), dim=(3, 5))
    return product.reshape(batch, channels, rows * window, columns * window)[..., :height, :width]


class FrequencyAttention(nn.Module):
    """Attention by circular convolution inside windows: (N, r, H, W) -> (N, r, H, W)."""

    def __init__(self, rank: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.q = pointwise(rank, rank)
        self.q_dwconv = depthwise(rank, 3, bias=True)
        self.kv = pointwise(rank, 2 * rank)
        self.kv_dwconv = depthwise(2 * rank, 7, bias=True)
        self.norm = ChannelNorm(rank)
        self.proj_out = pointwise(rank, rank, bias=True)

    def mix(self, q: Tensor, k: Tensor) -> Tensor:
        """Normalized circular convolution of q with k."""
        mixed: Tensor = self.norm(circular_convolution(q, k, self.window))
        return mixed

    def forward(self, x: Tensor) -> Tensor:
        q = self.q_dwconv(self.q(x))
        k, v = self.kv_dwconv(self.kv(x)).chunk(2, dim=1)
        return self.proj_out(self.mix(q, k) * v)


class Expert(nn.Module):
    """P2(F(P0 x) * silu(P1 shared)): what an expert adds to its shortcut."""

    def __init__(self, width: int, shape: ExpertShape) -> None:
        super().__init__()
        self.proj = nn.ModuleList(
            [pointwise(width, shape.rank), pointwise(width, shape.rank), pointwise(shape.rank, width)]
        )
        self.body = FrequencyAttention(shape.rank, shape.window)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        attended = self.body(self.proj[0](x)) * functional.silu(self.proj[1](shared))
        return self.proj[2](attended)
