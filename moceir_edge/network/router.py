"""The router and its balance losses (paper, section 3.2; importance and load after Shazeer et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moceir_edge.network.layers import depthwise


class Routing(NamedTuple):
    """scores: (N, E) softmax; route: (N,) int64 original index; gate: (N,) its score; balance_loss: scalar."""

    scores: Tensor
    route: Tensor
    gate: Tensor
    balance_loss: Tensor


def squared_variation(values: Tensor) -> Tensor:
    """Squared coefficient of variation, unbiased."""
    return (values.std() / (values.mean() + 1e-8)) ** 2


def importance_loss(logits: Tensor, complexity: Tensor) -> Tensor:
    """How unevenly the experts' scores sum up over the batch, each weighed by its complexity. logits: (N, E)."""
    return squared_variation(complexity * torch.softmax(logits, -1).sum(0))


def load_loss(logits: Tensor, noisy: Tensor, *, experts: int, chosen: int = 1) -> Tensor:
    """How unevenly the experts would be chosen if the noise (standard deviation 1/experts) were drawn again."""
    threshold = noisy.topk(chosen, -1).values[:, -1:]
    chance = 1 - torch.special.ndtr((threshold - logits) * experts)
    return squared_variation(chance.mean(0))


class Pool(nn.Module):
    """Mean over pixels: (N, C, H, W) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def by_itself(logits: Tensor) -> Tensor:
    """The logits of this process alone."""
    return logits


class Router(nn.Module):
    """logits = A mean_pixels(x) + B frequency; the expert with the best score among those served.

    gather: gives the logits whose use is balanced, from those of this process; training may bring in others.
    balanced: the experts among which it is balanced.
    """

    complexity: Tensor
    choosable: Tensor

    def __init__(self, width: int, frequency_width: int, experts: int, served: tuple[int, ...]) -> None:
        super().__init__()
        self.gate = nn.Sequential(Pool(), nn.Identity(), nn.Linear(width, experts, bias=False))
        self.freq_gate = nn.Linear(frequency_width, experts, bias=False)
        self.gather: Callable[[Tensor], Tensor] = by_itself
        self.balanced = served
        self.register_buffer("complexity", torch.ones(experts))
        choosable = torch.zeros(experts, dtype=torch.bool)
        choosable[list(served)] = True
        self.register_buffer("choosable", choosable, persistent=False)

    def logits(self, x: Tensor, frequency: Tensor) -> Tensor:
        """(N, E) without noise."""
        summed: Tensor = self.gate(x) + self.freq_gate(frequency)
        return summed

    def forward(self, x: Tensor, frequency: Tensor, noise: Tensor | None) -> Routing:
        """noise: (N, E) standard normal, for training and for measuring what inference noise costs."""
        logits = self.logits(x, frequency)
        noisy = logits if noise is None else logits + noise / logits.shape[-1]
        scores = torch.softmax(noisy, -1)
        route = scores.masked_fill(~self.choosable, -1.0).argmax(-1)
        gate = scores.gather(-1, route[:, None])[:, 0]
        return Routing(scores, route, gate, self.balance(logits, noisy) if self.training else logits.new_zeros(()))

    def balance(self, logits: Tensor, noisy: Tensor) -> Tensor:
        """Half importance, half load of the balanced experts; nothing where there are fewer than two of them."""
        if len(self.balanced) < 2:
            return logits.new_zeros(())
        experts, complexity = logits.shape[-1], self.complexity
        logits, noisy = self.gather(logits), self.gather(noisy)
        if len(self.balanced) < experts:
            balanced = list(self.balanced)
            logits, noisy, complexity = logits[:, balanced], noisy[:, balanced], complexity[balanced]
        return (importance_loss(logits, complexity) + load_loss(logits, noisy, experts=experts)) / 2


class FrequencyEmbedding(nn.Module):
    """What the routers see of the latent picture: (N, C, H, W) -> (N, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.high_conv = nn.Sequential(_HighPass(width), nn.GELU())
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, latent: Tensor) -> Tensor:
        embedded: Tensor = self.mlp(self.high_conv(latent).mean((2, 3)))
        return embedded


class _HighPass(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = depthwise(width, 3)
        kernel = torch.full((3, 3), -1.0)
        kernel[1, 1] = 8.0
        with torch.no_grad():
            self.conv.weight.copy_(kernel.expand_as(self.conv.weight))

    def forward(self, x: Tensor) -> Tensor:
        filtered: Tensor = self.conv(x)
        return filtered
