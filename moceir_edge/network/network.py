"""The network: encoder, latent, frequency embedding, routed decoder, refinement (paper, figure 2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from moceir_edge.network.architecture import Architecture, DecoderBlockShape
from moceir_edge.network.experts import Expert
from moceir_edge.network.layers import (
    ChannelNorm,
    CrossAttention,
    Downsample,
    FeedForward,
    PatchEmbedding,
    SelfAttention,
    Stack,
    Upsample,
    pointwise,
)
from moceir_edge.network.router import FrequencyEmbedding, Router, Routing
from moceir_edge.terms import SIZE_MULTIPLE

SHORTCUT = -1
"""As a forced route: no expert at all, the shortcut alone."""

KEEP = -2
"""As a forced route: the router's own choice."""


class Restored(NamedTuple):
    """What the network returns, for a batch of N pictures, L routed layers and E experts.

    image: (N, 3, H, W), not clipped; routes: (N, L) int64, original expert indices in running order, empty (N, 0)
    without routers; scores: (N, L, E) softmax scores, with the given noise; balance_loss: scalar, 0 in evaluation.
    """

    image: Tensor
    routes: Tensor
    scores: Tensor
    balance_loss: Tensor


class Midway(NamedTuple):
    """A batch on its way through the decoder, before the routed layer at `position` of decoder `level`.

    image: (N, 3, H, W), the input; x: (N, C, h, w); skips: those not yet used, from full resolution down;
    frequency: (N, C), the frequency embedding.
    """

    image: Tensor
    x: Tensor
    skips: tuple[Tensor, ...]
    frequency: Tensor
    level: int = 0
    position: int = 0


class Adapter(nn.Module):
    """The routed layer: proj_out(gate * (expert(x, shared) + x)) of the chosen expert."""

    def __init__(self, width: int, frequency_width: int, shape: DecoderBlockShape) -> None:
        super().__init__()
        self.shape = shape
        self.experts = nn.ModuleDict(
            {
                str(index): nn.ModuleList([Expert(width, expert)])
                for index, expert in enumerate(shape.experts)
                if expert is not None
            }
        )
        self.proj_out = pointwise(width, width)
        if shape.router:
            self.routing = Router(width, frequency_width, len(shape.experts), shape.served)
            self.routing.balanced = shape.balanced
            self.weigh_by_size()

    def weigh_by_size(self) -> None:
        """Balance the experts' use by their sizes; where some are gone, by what the weights bring along."""
        if self.shape.router and len(self.experts) == len(self.shape.experts):
            counts = torch.tensor([sum(p.numel() for p in e.parameters()) for e in self.experts.values()])
            self.routing.complexity.copy_(counts / counts.max())

    def forward(
        self,
        x: Tensor,
        frequency: Tensor,
        shared: Tensor,
        *,
        noise: Tensor | None,
        forced: Tensor | None,
        gates: Tensor | None,
    ) -> tuple[Tensor, Routing | None]:
        """noise: (N, E); forced: (N,) expert indices, SHORTCUT or KEEP; the gate stays the router's own.

        gates: (N, E), the weight of one expert and 0 elsewhere; all 0 leave the choice to the router.
        """
        routing = self.routing(x, frequency, noise) if self.shape.router else None
        if self.shape.mean_gate is None and routing is not None:
            route, gate = routing.route, routing.gate
        else:
            route = torch.full((x.shape[0],), self.shape.served[0], device=x.device)
            gate = x.new_ones(x.shape[0])
        if forced is not None:
            route = torch.where(forced == KEEP, route, forced)
        if gates is not None and self.shape.mean_gate is None:
            given, index = gates.max(-1)
            route, gate = torch.where(given > 0, index, route), torch.where(given > 0, given, gate)
        return self.proj_out(gate[:, None, None, None] * self._experts(x, shared, route)), routing

    def _experts(self, x: Tensor, shared: Tensor, route: Tensor) -> Tensor:
        """Each picture through its own expert, whatever the others of the batch need."""
        if x.shape[0] == 1:
            name = str(int(route))
            return x + self.experts[name][0](x, shared) if name in self.experts else x
        y = x
        for name, expert in self.experts.items():
            chosen = torch.nonzero(route == int(name))[:, 0]
            if len(chosen):
                y = y.index_add(0, chosen, expert[0](x[chosen], shared[chosen]))
        return y


class DecoderBlock(nn.Module):
    """s = x; cross(adapter(...), attention(...)) + s; then feed-forward."""

    def __init__(self, width: int, frequency_width: int, shape: DecoderBlockShape) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ChannelNorm(width), ChannelNorm(width)])
        self.proj = nn.ModuleList([pointwise(width, width, bias=True), pointwise(width, width, bias=True)])
        self.shared = SelfAttention(width, shape.shared, bias=False)
        self.mixer = CrossAttention(width, shape.mixer)
        self.ffn = FeedForward(width, shape.feed_forward, bias=False)
        self.adapter = Adapter(width, frequency_width, shape)

    def forward(
        self,
        x: Tensor,
        frequency: Tensor,
        *,
        noise: Tensor | None,
        forced: Tensor | None,
        gates: Tensor | None,
    ) -> tuple[Tensor, Routing | None]:
        normed = self.norms[0](x)
        shared = self.shared(self.proj[0](normed))
        routed, routing = self.adapter(self.proj[1](normed), frequency, shared, noise=noise, forced=forced, gates=gates)
        x = self.mixer(routed, shared) + x
        return x + self.ffn(self.norms[1](x)), routing


class DecoderStack(nn.Module):
    """The decoder blocks of one level."""

    def __init__(self, width: int, frequency_width: int, shapes: tuple[DecoderBlockShape, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([DecoderBlock(width, frequency_width, shape) for shape in shapes])


class MoceIR(nn.Module):
    """MoCE-IR for any architecture, full or slim; module names are those of the published checkpoints."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        width, levels = architecture.width, architecture.levels
        self.patch_embed = PatchEmbedding(width)
        self.enc = nn.ModuleList(
            nn.ModuleList([Stack(width << i, shapes), Downsample(width << i)])
            for i, shapes in enumerate(architecture.encoder)
        )
        self.latent = Stack(width << levels, architecture.latent)
        if architecture.guarded:
            self.freq_embed = FrequencyEmbedding(architecture.frequency_width)
        self.dec = nn.ModuleList()
        for level, shapes in enumerate(architecture.decoder):
            channels = architecture.level_width(level)
            stack = DecoderStack(channels, architecture.frequency_width, shapes)
            self.dec.append(nn.ModuleList([Upsample(2 * channels), pointwise(2 * channels, channels), stack]))
        self.refinement = Stack(width, architecture.refinement)
        self.output = nn.Conv2d(width, 3, 3, padding=1, bias=False)

    def encode(self, image: Tensor) -> Midway:
        """Everything before the first routed layer; image as in `forward`."""
        if image.shape[2] % SIZE_MULTIPLE or image.shape[3] % SIZE_MULTIPLE:
            raise ValueError(f"height and width must be multiples of {SIZE_MULTIPLE}, not {tuple(image.shape[2:])}")
        x = self.patch_embed(image)
        skips: tuple[Tensor, ...] = ()
        for stack, down in self.enc:
            x = stack(x)
            skips = (*skips, x)
            x = down(x)
        x = self.latent(x)
        frequency = self.freq_embed(x) if self.architecture.guarded else x.new_zeros(x.shape[0], 0)
        return Midway(image, x, skips, frequency)

    def step(
        self,
        midway: Midway,
        noise: Tensor | None = None,
        forced: Tensor | None = None,
        gates: Tensor | None = None,
    ) -> tuple[Midway, Routing | None]:
        """The next routed layer. noise, gates: (N, E); forced: (N,)."""
        image, x, skips, frequency, level, position = midway
        up, fuse, stack = self.dec[level]
        if position == 0:
            x, skips = fuse(torch.cat([up(x), skips[-1]], 1)), skips[:-1]
        x, routing = stack.layers[position](x, frequency, noise=noise, forced=forced, gates=gates)
        last = position + 1 == len(stack.layers)
        place = (level + 1, 0) if last else (level, position + 1)
        return Midway(image, x, skips, frequency, *place), routing

    def finish(self, midway: Midway) -> Tensor:
        """Everything after the last routed layer: the restored image (N, 3, H, W)."""
        restored: Tensor = self.output(self.refinement(midway.x)) + midway.image
        return restored

    def forward(
        self,
        image: Tensor,
        *,
        noise: Tensor | None = None,
        forced: Tensor | None = None,
        gates: Tensor | None = None,
    ) -> Restored:
        """Restore a batch.

        image: (N, 3, H, W) in [0, 1], H and W multiples of 8 (ValueError otherwise).
        noise: (N, L, E) standard normal; none in evaluation. forced: (N, L) int64, see `SHORTCUT` and `KEEP`.
        gates: (N, L, E), in each layer the weight of one expert, or zeros where the router decides.
        """
        midway = self.encode(image)
        routings: list[Routing] = []
        for layer in range(len(self.architecture.layers)):
            layer_noise = None if noise is None else noise[:, layer]
            layer_forced = None if forced is None else forced[:, layer]
            layer_gates = None if gates is None else gates[:, layer]
            midway, routing = self.step(midway, layer_noise, layer_forced, layer_gates)
            if routing is not None:
                routings.append(routing)
        return Restored(self.finish(midway), *_collect(routings, image))


def _collect(routings: list[Routing], image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if not routings:
        batch = image.shape[0]
        routes = torch.zeros((batch, 0), dtype=torch.int64, device=image.device)
        return routes, image.new_zeros(batch, 0, 0), image.new_zeros(())
    routes = torch.stack([routing.route for routing in routings], 1)
    scores = torch.stack([routing.scores for routing in routings], 1)
    return routes, scores, torch.stack([routing.balance_loss for routing in routings]).mean()
