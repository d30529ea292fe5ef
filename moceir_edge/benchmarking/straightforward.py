"""What a user would export who knows nothing of lowering: the layers as the paper writes them, experts fixed, no FFT.

This is the baseline of every gain that is claimed, so it is frozen: `baseline.json` holds the hashes of its graphs.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from moceir_edge.errors import MissingBackendError
from moceir_edge.network.experts import Expert, FrequencyAttention
from moceir_edge.network.layers import CrossAttention, SelfAttention
from moceir_edge.network.network import Adapter, DecoderBlock, MoceIR
from moceir_edge.program.program import AGREEMENT, IMAGE, RESTORED, SCORES


def export_straightforward(network: MoceIR, size: tuple[int, int], path: Path) -> None:
    """Write the static network by PyTorch's own exporter with its defaults; size: (height, width).

    MissingBackendError without onnxscript, which the exporter needs.
    """
    if find_spec("onnxscript") is None:
        raise MissingBackendError("onnxscript is not installed", "pip install 'moceir-edge[bench]'")
    static = StaticRestorer(network).eval()
    names = [RESTORED, AGREEMENT, SCORES] if network.architecture.guarded else [RESTORED]
    with _quiet(), torch.inference_mode():
        torch.onnx.export(
            static,
            (torch.zeros(1, 3, *size),),
            path,
            input_names=[IMAGE],
            output_names=names,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's deprecations, and its words about libraries that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class StaticRestorer(nn.Module):
    """The network with at most one expert a layer: (1, 3, H, W) -> restored, agreement (1,), scores (1, L, E)."""

    def __init__(self, network: MoceIR) -> None:
        super().__init__()
        self.network = network = _as_published(network)
        self.experts = nn.ModuleList(
            StaticExpert(block.adapter) for _, _, stack in network.dec for block in stack.layers
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        midway = self.network.encode(image)
        x, skips, scores, agreements = midway.x, midway.skips, [], []
        experts = iter(self.experts)
        for up, fuse, stack in self.network.dec:
            x, skips = fuse(torch.cat([up(x), skips[-1]], 1)), skips[:-1]
            for block in stack.layers:
                x, score, agreement = _decoder_block(block, next(experts), x, midway.frequency)
                scores.append(score)
                agreements.append(agreement)
        restored = self.network.finish(midway._replace(x=x))
        if not self.network.architecture.guarded:
            return (restored,)
        return restored, torch.stack(agreements, 1).mean(1), torch.stack(scores, 1)


def _as_published(network: MoceIR) -> MoceIR:
    """A copy whose attentions normalize all of q and k, where ours scale the small product instead."""
    plain = copy.deepcopy(network)
    found = [name for name, module in plain.named_modules() if isinstance(module, SelfAttention | CrossAttention)]
    for name in found:
        parent, _, last = name.rpartition(".")
        setattr(plain.get_submodule(parent), last, PublishedAttention(plain.get_submodule(name)))
    return plain


class PublishedAttention(nn.Module):
    """softmax(t q k^T) v with q and k of length 1 along the pixels; takes what the layer it stands for takes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, shared: Tensor | None = None) -> Tensor:
        layer: Any = self.layer
        if shared is None:
            q, k, v = layer.qkv_dwconv(layer.qkv(x)).chunk(3, dim=1)
        else:
            q = layer.q_dwconv(layer.q(x))
            k, v = layer.kv_dwconv(layer.kv(shared)).chunk(2, dim=1)
        batch, channels, height, width = q.shape
        heads = layer.temperature.shape[0]
        rows = (batch, heads, channels // heads, height * width)
        q, k = (functional.normalize(part.reshape(rows), dim=-1) for part in (q, k))
        weights = torch.softmax(q @ k.transpose(-2, -1) * layer.temperature, -1)
        attended = (weights @ v.reshape(rows)).reshape(batch, channels, height, width)
        return cast(Tensor, layer.project_out(attended))


def _decoder_block(block: DecoderBlock, expert: StaticExpert, x: Tensor, frequency: Tensor) -> tuple[Tensor, ...]:
    normed = block.norms[0](x)
    shared = block.shared(block.proj[0](normed))
    routed, score, agreement = expert(block.proj[1](normed), shared, frequency)
    x = block.mixer(routed, shared) + x
    return x + block.ffn(block.norms[1](x)), score, agreement


class StaticExpert(nn.Module):
    """A routed layer with its choice made: the adapted picture, all scores (1, E), agreement (1,)."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.attentions = nn.ModuleList(WindowAttention(expert[0].body) for expert in adapter.experts.values())

    def forward(self, x: Tensor, shared: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shape, y = self.adapter.shape, x
        for expert, attention in zip(self.adapter.experts.values(), self.attentions, strict=True):
            y = y + _expert(expert[0], attention, x, shared)
        if not shape.router:
            return self.adapter.proj_out(y), x.new_zeros(1, 0), x.new_ones(1)
        scores = torch.softmax(self.adapter.routing.logits(x, frequency), -1)
        served = scores[:, list(shape.served)].amax(-1)
        gate = served[:, None, None, None] if shape.mean_gate is None else 1.0
        return self.adapter.proj_out(gate * y), scores, (served >= scores.amax(-1)).float()


def _expert(expert: Expert, attention: WindowAttention, x: Tensor, shared: Tensor) -> Tensor:
    attended: Tensor = attention(expert.proj[0](x)) * functional.silu(expert.proj[1](shared))
    return expert.proj[2](attended)


class WindowAttention(nn.Module):
    """Frequency attention with its transforms as products with cosines and sines."""

    cosine: Tensor
    sine: Tensor
    half_cosine: Tensor
    half_sine: Tensor
    back_cosine: Tensor
    back_sine: Tensor

    def __init__(self, layer: FrequencyAttention) -> None:
        super().__init__()
        self.layer = layer
        window, half = layer.window, layer.window // 2 + 1
        steps = torch.arange(window, dtype=torch.float64)
        angle = 2 * torch.pi * torch.outer(steps, steps) / window
        cosine, sine = torch.cos(angle), torch.sin(angle)
        weight = torch.full((half, 1), 2.0, dtype=torch.float64)
        weight[0] = weight[-1] = 1.0
        scale = weight / window**2
        waves = {"cosine": cosine, "sine": sine, "half_cosine": cosine[:, :half], "half_sine": sine[:, :half]}
        waves |= {"back_cosine": scale * cosine[:half], "back_sine": scale * sine[:half]}
        for name, wave in waves.items():
            self.register_buffer(name, wave.float())

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        q = layer.q_dwconv(layer.q(x))
        k, v = layer.kv_dwconv(layer.kv(x)).chunk(2, dim=1)
        return layer.proj_out(layer.norm(self.convolution(q, k)) * v)

    def convolution(self, q: Tensor, k: Tensor) -> Tensor:
        """As `network.experts.circular_convolution`."""
        batch, channels, height, width = q.shape
        window = self.layer.window
        padding = (0, -width % window, 0, -height % window)
        if any(padding):
            q, k = functional.pad(q, padding), functional.pad(k, padding)
        patches = (batch, channels, q.shape[2] // window, window, q.shape[3] // window, window)
        q_real, q_imaginary = self.transform(q.reshape(patches).transpose(3, 4))
        k_real, k_imaginary = self.transform(k.reshape(patches).transpose(3, 4))
        real = q_real * k_real - q_imaginary * k_imaginary
        imaginary = q_real * k_imaginary + q_imaginary * k_real
        whole = self.inverse(real, imaginary).transpose(3, 4)
        return whole.reshape(batch, channels, patches[2] * window, patches[4] * window)[..., :height, :width]

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of rfft2 over the last two axes."""
        real, imaginary = x @ self.half_cosine, -(x @ self.half_sine)
        return self.cosine @ real + self.sine @ imaginary, self.cosine @ imaginary - self.sine @ real

    def inverse(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """irfft2 over the last two axes."""
        rows_real = self.cosine @ real - self.sine @ imaginary
        rows_imaginary = self.cosine @ imaginary + self.sine @ real
        return rows_real @ self.back_cosine - rows_imaginary @ self.back_sine
