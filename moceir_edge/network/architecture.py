"""The shape of a network as plain values: everything that decides which tensors it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from moceir_edge.terms import GateMode

WINDOWS = (4, 8, 16, 32)
"""Side of an expert's frequency window by expert index: 2 ** (e + 2) (paper, section 3.3)."""


@dataclass(frozen=True)
class AttentionShape:
    """Transposed attention over `channels` in `heads` contiguous groups."""

    heads: int
    channels: int


@dataclass(frozen=True)
class BlockShape:
    """An encoder, latent or refinement block; `feed_forward` counts the channels of one GDFN half."""

    attention: AttentionShape
    feed_forward: int


@dataclass(frozen=True)
class ExpertShape:
    """A complexity expert: its bottleneck `rank` and the side of its frequency `window`."""

    rank: int
    window: int


@dataclass(frozen=True)
class DecoderBlockShape:
    """A decoder block with its routed layer.

    experts: one entry for each original expert index; None where the expert's weights were removed.
    served: original indices the routed layer may choose; a served index without weights is the shortcut alone.
    router: whether the routing weights are there.
    mean_gate: the constant gate folded into proj_out, None while the router's own score is used.
    """

    shared: AttentionShape
    mixer: AttentionShape
    feed_forward: int
    experts: tuple[ExpertShape | None, ...]
    served: tuple[int, ...]
    router: bool = True
    mean_gate: float | None = None

    @property
    def kept(self) -> tuple[int, ...]:
        """Original indices of the experts that have weights."""
        return tuple(index for index, expert in enumerate(self.experts) if expert is not None)

    @property
    def balanced(self) -> tuple[int, ...]:
        """Original indices whose use training evens out: those served, where it matters which of them is chosen."""
        return self.served if self.kept and self.mean_gate is None else ()


@dataclass(frozen=True)
class Architecture:
    """A whole network; levels run from full resolution down, decoder levels in running order (lowest first)."""

    width: int
    encoder: tuple[tuple[BlockShape, ...], ...]
    latent: tuple[BlockShape, ...]
    decoder: tuple[tuple[DecoderBlockShape, ...], ...]
    refinement: tuple[BlockShape, ...]

    @property
    def levels(self) -> int:
        """How often the network halves its input."""
        return len(self.encoder)

    @property
    def frequency_width(self) -> int:
        """Channels of the latent level and of the frequency embedding."""
        return self.width << self.levels

    @property
    def experts(self) -> int:
        """Number of original experts in a routed layer."""
        return len(self.decoder[0][0].experts)

    @property
    def gate(self) -> GateMode:
        """How the routed layers weigh their expert."""
        folded = any(block.mean_gate is not None for _, block in self.routed())
        return GateMode.FOLDED if folded else GateMode.EXACT

    @property
    def guarded(self) -> bool:
        """Whether the routers and the frequency embedding are there."""
        return all(block.router for _, block in self.routed())

    @property
    def slim(self) -> bool:
        """Whether some expert has been removed."""
        return any(len(block.kept) < len(block.experts) for _, block in self.routed())

    @property
    def published(self) -> bool:
        """Whether the published layouts have a place for it."""
        return self.guarded and not self.slim

    def level_width(self, level: int) -> int:
        """Channels at a decoder level (0 is the lowest resolution)."""
        return self.width << (self.levels - 1 - level)

    def routed(self) -> Iterator[tuple[str, DecoderBlockShape]]:
        """Names and shapes of the routed layers, in the order in which they run."""
        for level, blocks in enumerate(self.decoder):
            for position, block in enumerate(blocks):
                yield f"dec.{level}.2.layers.{position}", block

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the routed layers, in the order in which they run."""
        return tuple(name for name, _ in self.routed())


def build_architecture(
    width: int,
    encoder_blocks: tuple[int, ...],
    latent_blocks: int,
    decoder_blocks: tuple[int, ...],
    *,
    refinement_blocks: int,
    heads: tuple[int, ...] = (1, 2, 4, 8),
    experts: int = 4,
) -> Architecture:
    """A full network by the published rule; all tuples run from full resolution down (paper, appendix)."""

    def blocks(channels: int, count: int, head_count: int) -> tuple[BlockShape, ...]:
        return (BlockShape(AttentionShape(head_count, channels), 2 * channels),) * count

    def decoder_block(channels: int, head_count: int) -> DecoderBlockShape:
        attention = AttentionShape(head_count, channels)
        ranks = (channels >> (experts - 1 - index) for index in range(experts))
        shapes = tuple(ExpertShape(rank, 4 << index) for index, rank in enumerate(ranks))
        return DecoderBlockShape(attention, attention, 2 * channels, shapes, tuple(range(experts)))

    levels = len(encoder_blocks)
    return Architecture(
        width=width,
        encoder=tuple(blocks(width << i, encoder_blocks[i], heads[i]) for i in range(levels)),
        latent=blocks(width << levels, latent_blocks, heads[levels]),
        decoder=tuple((decoder_block(width << i, heads[i]),) * decoder_blocks[i] for i in reversed(range(levels))),
        refinement=blocks(width, refinement_blocks, heads[0]),
    )


SIZES = {
    "base": build_architecture(48, (4, 6, 6), 8, (2, 4, 4), refinement_blocks=4),
    "S": build_architecture(32, (4, 6, 6), 8, (2, 4, 4), refinement_blocks=4),
    "tiny": build_architecture(16, (1, 1, 1), 2, (1, 2, 2), refinement_blocks=1),
}
"""The two published sizes and the small one that ships with the package."""


def size_name(architecture: Architecture) -> str:
    """The name in `SIZES`, or a short description of any other network."""
    for name, known in SIZES.items():
        if known == architecture:
            return name
    kind = "slim" if architecture.slim else "custom"
    return f"{kind}, width {architecture.width}"
