"""The channel spaces of a network: channels that many tensors share, and that can only go from all of them at once.

Trunk spaces are as wide as their level and shrink together; inner spaces (feed-forwards, attentions, experts) shrink
each by itself. Sub-pixels of a (un)shuffle belong to one channel of the convolution beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from moceir_edge.network.architecture import Architecture, AttentionShape, BlockShape, DecoderBlockShape

Indices = NDArray[np.int64]

SUBPIXELS = 4
"""Of a pixel (un)shuffle by 2."""


class SpaceKind(StrEnum):
    """What the channels of a space are."""

    TRUNK = "trunk"
    FEED_FORWARD = "feed-forward"
    ATTENTION = "attention"
    EXPERT = "expert"


@dataclass(frozen=True)
class Cut:
    """Where the channels of a space lie along an axis of a tensor.

    spread: positions that one channel has; shared: channels that have one position together.
    """

    tensor: str
    axis: int
    offset: int = 0
    spread: int = 1
    shared: int = 1

    def positions(self, kept: Sequence[int]) -> Indices:
        """Of the channels that are kept, in ascending order."""
        channels = np.asarray(kept, np.int64)
        if self.shared > 1:
            return self.offset + np.unique(channels // self.shared)
        return self.offset + (channels[:, None] * self.spread + np.arange(self.spread)).ravel()


@dataclass(frozen=True)
class Space:
    """Channels 0 to size - 1, which go `unit` at a time; of attention, equally many of each head that stays.

    readers: convolutions and linear layers that read the channels, each with its `Cut` along axis 1.
    """

    name: str
    kind: SpaceKind
    size: int
    cuts: tuple[Cut, ...]
    unit: int = 1
    heads: int = 1

    @property
    def readers(self) -> tuple[Cut, ...]:
        """The cuts along what a layer reads."""
        return tuple(cut for cut in self.cuts if cut.axis == 1)


def spaces(architecture: Architecture) -> tuple[Space, ...]:
    """All of them, in running order; tensors that a network lacks (a bias, a router) may be among the cuts."""
    return (*_trunk(architecture), *_inner(architecture))


def _trunk(architecture: Architecture) -> Iterator[Space]:
    levels, width = architecture.levels, architecture.width
    for level, shapes in enumerate(architecture.encoder):
        stack = f"enc.{level}"
        size = width << level
        cuts = [
            *_written(level),
            *_blocks(f"{stack}.0.layers", shapes),
            Cut(f"{stack}.1.body.0.weight", 1),
            Cut(f"dec.{levels - 1 - level}.1.weight", 1, offset=size),
        ]
        yield Space(stack, SpaceKind.TRUNK, size, tuple(cuts), unit=SUBPIXELS if level else 1)
    frequency = architecture.frequency_width
    cuts = [
        *_written(levels),
        *_blocks("latent.layers", architecture.latent),
        Cut("dec.0.0.body.0.weight", 1),
        Cut("freq_embed.high_conv.0.conv.weight", 0),
        Cut("freq_embed.mlp.0.weight", 1),
    ]
    yield Space("latent", SpaceKind.TRUNK, frequency, tuple(cuts), unit=SUBPIXELS)
    if architecture.guarded:
        yield from _frequency(architecture)
    for level, blocks in enumerate(architecture.decoder):
        yield from _decoder_level(architecture, level, blocks)


def _written(level: int) -> list[Cut]:
    """By what brings the picture to this level of the encoder."""
    if level == 0:
        return [Cut("patch_embed.proj.weight", 0)]
    return [Cut(f"enc.{level - 1}.1.body.0.weight", 0, shared=SUBPIXELS)]


def _blocks(prefix: str, shapes: Sequence[BlockShape]) -> Iterator[Cut]:
    for position in range(len(shapes)):
        block = f"{prefix}.{position}"
        yield from _norms(block)
        yield Cut(f"{block}.mixer.qkv.weight", 1)
        yield from _both(f"{block}.mixer.project_out", 0)
        yield Cut(f"{block}.ffn.project_in.weight", 1)
        yield from _both(f"{block}.ffn.project_out", 0)


def _norms(block: str) -> Iterator[Cut]:
    for number in range(2):
        yield from _both(f"{block}.norms.{number}.body", 0)


def _both(layer: str, *offsets: int) -> Iterator[Cut]:
    """What a layer writes: its weight and bias."""
    for offset in offsets:
        yield Cut(f"{layer}.weight", 0, offset)
        yield Cut(f"{layer}.bias", 0, offset)


def _frequency(architecture: Architecture) -> Iterator[Space]:
    width = architecture.frequency_width
    hidden = (*_both("freq_embed.mlp.0", 0), Cut("freq_embed.mlp.2.weight", 1))
    yield Space("freq_embed.mlp.0", SpaceKind.TRUNK, 2 * width, hidden)
    routers = (Cut(f"{name}.adapter.routing.freq_gate.weight", 1) for name in architecture.layers)
    yield Space("freq_embed.mlp.2", SpaceKind.TRUNK, width, (*_both("freq_embed.mlp.2", 0), *routers))


def _decoder_level(architecture: Architecture, level: int, blocks: Sequence[DecoderBlockShape]) -> Iterator[Space]:
    size, stack = architecture.level_width(level), f"dec.{level}"
    up = (Cut(f"{stack}.0.body.0.weight", 0, spread=SUBPIXELS), Cut(f"{stack}.1.weight", 1))
    yield Space(f"{stack}.0", SpaceKind.TRUNK, size, up)
    cuts = [Cut(f"{stack}.1.weight", 0)]
    names = [f"{stack}.2.layers.{position}" for position in range(len(blocks))]
    for name in names:
        yield from _decoder_block(name, size, blocks[0])
        cuts += [
            *_norms(name),
            *(Cut(f"{name}.proj.{number}.weight", 1) for number in range(2)),
            *_both(f"{name}.mixer.project_out", 0),
            Cut(f"{name}.ffn.project_in.weight", 1),
            *_both(f"{name}.ffn.project_out", 0),
        ]
    if level + 1 < architecture.levels:
        cuts.append(Cut(f"dec.{level + 1}.0.body.0.weight", 1))
    else:
        cuts += [*_blocks("refinement.layers", architecture.refinement), Cut("output.weight", 1)]
    yield Space(stack, SpaceKind.TRUNK, size, tuple(cuts))


def _decoder_block(name: str, size: int, shape: DecoderBlockShape) -> Iterator[Space]:
    """What runs inside a decoder block, as wide as its level."""
    experts = [f"{name}.adapter.experts.{index}.0" for index in range(len(shape.experts))]

    def space(label: str, *cuts: Cut) -> Space:
        return Space(f"{name}.{label}", SpaceKind.TRUNK, size, cuts)

    yield space("proj.0", *_both(f"{name}.proj.0", 0), Cut(f"{name}.shared.qkv.weight", 1))
    yield space(
        "proj.1",
        *_both(f"{name}.proj.1", 0),
        *(Cut(f"{expert}.proj.0.weight", 1) for expert in experts),
        *(Cut(f"{expert}.proj.2.weight", 0) for expert in experts),
        Cut(f"{name}.adapter.proj_out.weight", 1),
        Cut(f"{name}.adapter.routing.gate.2.weight", 1),
    )
    yield space("adapter.proj_out", Cut(f"{name}.adapter.proj_out.weight", 0), Cut(f"{name}.mixer.q.weight", 1))
    yield space(
        "shared.project_out",
        *_both(f"{name}.shared.project_out", 0),
        *(Cut(f"{expert}.proj.1.weight", 1) for expert in experts),
        Cut(f"{name}.mixer.kv.weight", 1),
    )


def _inner(architecture: Architecture) -> Iterator[Space]:
    stacks = [
        *((f"enc.{level}.0.layers", shapes) for level, shapes in enumerate(architecture.encoder)),
        ("latent.layers", architecture.latent),
        ("refinement.layers", architecture.refinement),
    ]
    for prefix, shapes in stacks:
        for position, shape in enumerate(shapes):
            yield _self_attention(f"{prefix}.{position}.mixer", shape.attention)
            yield _feed_forward(f"{prefix}.{position}.ffn", shape.feed_forward)
    for name, block in architecture.routed():
        yield _self_attention(f"{name}.shared", block.shared)
        yield _cross_attention(f"{name}.mixer", block.mixer)
        yield _feed_forward(f"{name}.ffn", block.feed_forward)
        for index, expert in enumerate(block.experts):
            if expert is not None:
                yield from _expert(f"{name}.adapter.experts.{index}", expert.rank)


def _self_attention(name: str, shape: AttentionShape) -> Space:
    parts = tuple(part * shape.channels for part in range(3))
    cuts = (*_both(f"{name}.qkv", *parts), *_both(f"{name}.qkv_dwconv", *parts))
    return _attention(name, shape, cuts)


def _cross_attention(name: str, shape: AttentionShape) -> Space:
    parts = (0, shape.channels)
    queries = (*_both(f"{name}.q", 0), *_both(f"{name}.q_dwconv", 0))
    return _attention(name, shape, (*queries, *_both(f"{name}.kv", *parts), *_both(f"{name}.kv_dwconv", *parts)))


def _attention(name: str, shape: AttentionShape, cuts: tuple[Cut, ...]) -> Space:
    common = (
        Cut(f"{name}.temperature", 0, shared=shape.channels // shape.heads),
        Cut(f"{name}.project_out.weight", 1),
    )
    return Space(name, SpaceKind.ATTENTION, shape.channels, (*cuts, *common), heads=shape.heads)


def _feed_forward(name: str, hidden: int) -> Space:
    halves = (0, hidden)
    cuts = (*_both(f"{name}.project_in", *halves), *_both(f"{name}.dwconv", *halves))
    return Space(name, SpaceKind.FEED_FORWARD, hidden, (*cuts, Cut(f"{name}.project_out.weight", 1)))


def _expert(name: str, rank: int) -> Iterator[Space]:
    """An expert's rank is the size of three spaces; they shrink together."""
    module, body = f"{name}.0", f"{name}.0.body"
    entered = (Cut(f"{module}.proj.0.weight", 0), Cut(f"{body}.q.weight", 1), Cut(f"{body}.kv.weight", 1))
    attended = (
        *_both(f"{body}.q", 0),
        *_both(f"{body}.q_dwconv", 0),
        *_both(f"{body}.kv", 0, rank),
        *_both(f"{body}.kv_dwconv", 0, rank),
        *_both(f"{body}.norm.body", 0),
        Cut(f"{body}.proj_out.weight", 1),
    )
    left = (*_both(f"{body}.proj_out", 0), Cut(f"{module}.proj.1.weight", 0), Cut(f"{module}.proj.2.weight", 1))
    for label, cuts in (("proj.0", entered), ("body", attended), ("proj.2", left)):
        yield Space(f"{name}.{label}", SpaceKind.EXPERT, rank, cuts)
