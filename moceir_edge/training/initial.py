"""Weights to start from: PyTorch's own or a model's, with experts that add something from the first step on."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from moceir_edge.network.architecture import SIZES
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.experts import Expert
from moceir_edge.network.network import Adapter, MoceIR


def fresh_network(size: str, *, seed: int, complexity: bool) -> MoceIR:
    """Initialized by PyTorch's defaults from a seed; complexity: as in `recipe.Loss`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MoceIR(SIZES[size])
    return _weighed(network, complexity=complexity)


def network_of(model: LoadedModel, *, complexity: bool) -> MoceIR:
    """A copy of its network that can be trained; complexity: as in `recipe.Loss`."""
    network = copy.deepcopy(model.network).train().requires_grad_(True)
    return _weighed(network, complexity=complexity)


def _weighed(network: MoceIR, *, complexity: bool) -> MoceIR:
    for module in network.modules():
        if isinstance(module, Adapter) and module.shape.router:
            if complexity:
                module.weigh_by_size()
            else:
                module.routing.complexity.fill_(1.0)
    return network


def raise_experts(network: MoceIR, images: Tensor, *, share: float) -> dict[str, float]:
    """Scale the last convolution of every expert until what it adds is `share` of its shortcut (standard deviations).

    A chain of five default-initialized 1x1 convolutions and a gate near 0 shrinks what an expert adds to some
    thousandths of its shortcut: it learns so slowly that the rest of the network learns to do without it.

    images: (N, 3, H, W), what training will see. returns: the share before, for each expert there is.
    """
    found: dict[str, float] = {}

    def scale(name: str, expert: Expert) -> None:
        last = cast(nn.Conv2d, expert.proj[2])

        def hook(module: nn.Module, inputs: tuple[Tensor, Tensor], added: Tensor) -> Tensor:
            del module
            found[name] = float(added.std() / inputs[0].std())
            factor = share / max(found[name], 1e-12)
            last.weight.mul_(factor)
            return added * factor

        handles.append(expert.register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in network.named_modules():
        if isinstance(module, Expert):
            scale(name, module)
    layers, experts = len(network.architecture.layers), network.architecture.experts
    try:
        with torch.no_grad():
            for index in range(experts):
                # Each expert once, on all pictures: forced routes, one after the other.
                network(images, forced=torch.full((len(images), layers), index))
    finally:
        for handle in handles:
            handle.remove()
    return found
