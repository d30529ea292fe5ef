"""The layers every block is made of (paper, section 3; attention and feed-forward after Restormer, CVPR 2022).

Module and parameter names are those of the published checkpoints. Every convolution has stride 1 and keeps the size.
While a network learns, some layers compute the same in another way, whose gradients take less time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from moceir_edge.network.architecture import AttentionShape, BlockShape
from moceir_edge.network.depthwise import DepthwiseConv

NORM_EPSILON = 1e-5
UNIT_EPSILON = 1e-12


class PointwiseConv(nn.Conv2d):
    """1x1 convolution; learns as matrix products, which are cheapest with channels last in memory."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H, W)."""
        if not self.training:
            return super().forward(x)
        return functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def pointwise(inputs: int, outputs: int, *, bias: bool = False) -> nn.Conv2d:
    """1x1 convolution."""
    return PointwiseConv(inputs, outputs, bias=bias)


def depthwise(channels: int, side: int, *, bias: bool = False) -> nn.Conv2d:
    """side x side convolution of each channel by itself."""
    return DepthwiseConv(channels, side, bias=bias)


class _Affine(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each pixel: (N, C, H, W) -> (N, C, H, W), biased variance."""

    def __init__(self, channels: int, *, epsilon: float = NORM_EPSILON) -> None:
        super().__init__()
        self.body = _Affine(channels)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return normalized(x, self.body.weight, self.body.bias, self.epsilon)
        last = x.permute(0, 2, 3, 1)
        return functional.layer_norm(last, last.shape[3:], self.body.weight, self.body.bias, self.epsilon).permute(
            0, 3, 1, 2
        )


def normalized(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    """What `ChannelNorm` is, step by step; weight, bias: (C,)."""
    centred = x - x.mean(1, keepdim=True)
    deviation = torch.sqrt((centred * centred).mean(1, keepdim=True) + epsilon)
    return centred / deviation * weight[:, None, None] + bias[:, None, None]


def attend(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """Attention between channels: softmax(t q k^T / (|q| |k|)) v.

    q, k, v: (N, C, H, W); temperature: (heads, 1, 1); heads are contiguous groups of channels.
    The small (c, c) product is scaled by the norms instead of the large q and k: the same value, less traffic.
    """
    batch, channels, height, width = q.shape
    heads = temperature.shape[0]
    rows = (batch, heads, channels // heads, height * width)
    q, k, v = q.reshape(rows), k.reshape(rows), v.reshape(rows)
    q_norm, k_norm = (torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(UNIT_EPSILON) for x in (q, k))
    similarity = q @ k.transpose(-2, -1) / q_norm / k_norm.transpose(-2, -1)
    return (torch.softmax(similarity * temperature, -1) @ v).reshape(batch, channels, height, width)


class SelfAttention(nn.Module):
    """Transposed self-attention (MDTA): (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, width: int, shape: AttentionShape, *, bias: bool) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(shape.heads, 1, 1))
        self.qkv = pointwise(width, 3 * shape.channels, bias=bias)
        self.qkv_dwconv = depthwise(3 * shape.channels, 3, bias=bias)
        self.project_out = pointwise(shape.channels, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        return self.project_out(attend(q, k, v, self.temperature))


class CrossAttention(nn.Module):
    """Transposed attention of the routed picture (queries) over the shared one (keys, values)."""

    def __init__(self, width: int, shape: AttentionShape) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(shape.heads, 1, 1))
        self.q = pointwise(width, shape.channels)
        self.q_dwconv = depthwise(shape.channels, 3)
        self.kv = pointwise(width, 2 * shape.channels)
        self.kv_dwconv = depthwise(2 * shape.channels, 7)
        self.project_out = pointwise(shape.channels, width)

    def forward(self, routed: Tensor, shared: Tensor) -> Tensor:
        q = self.q_dwconv(self.q(routed))
        k, v = self.kv_dwconv(self.kv(shared)).chunk(2, dim=1)
        return self.project_out(attend(q, k, v, self.temperature))


class FeedForward(nn.Module):
    """Gated feed-forward (GDFN): gelu(a) * b of two halves of `hidden` channels each."""

    def __init__(self, width: int, hidden: int, *, bias: bool) -> None:
        super().__init__()
        self.project_in = pointwise(width, 2 * hidden, bias=bias)
        self.dwconv = depthwise(2 * hidden, 3, bias=bias)
        self.project_out = pointwise(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(functional.gelu(a) * b)


class Block(nn.Module):
    """Encoder, latent or refinement block: attention, then feed-forward, each added to its input."""

    def __init__(self, width: int, shape: BlockShape) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ChannelNorm(width), ChannelNorm(width)])
        self.mixer = SelfAttention(width, shape.attention, bias=True)
        self.ffn = FeedForward(width, shape.feed_forward, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norms[0](x))
        return x + self.ffn(self.norms[1](x))


class Stack(nn.Module):
    """Blocks in a row."""

    def __init__(self, width: int, shapes: tuple[BlockShape, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block(width, shape) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Downsample(nn.Module):
    """(N, C, H, W) -> (N, 2C, H/2, W/2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.body(x)
        return halved


class Upsample(nn.Module):
    """(N, C, H, W) -> (N, C/2, 2H, 2W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.body(x)
        return doubled


class PatchEmbedding(nn.Module):
    """3x3 convolution from RGB to the network's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.proj(x)
        return embedded
