"""Least-squares repair: every layer learns again, in running order, to give what it gave in the whole network.

No training: one forward of each network over calibration crops. A layer that ends a branch makes up for what the trunk
has lost before it. After the reconstruction step of channel pruning (He, Zhang and Sun, ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from moceir_edge.narrowing.cut import Kept, block_names, earlier_name, shortened
from moceir_edge.narrowing.sampling import dense_layers, regressors, sampled
from moceir_edge.narrowing.spaces import spaces
from moceir_edge.network.architecture import Architecture
from moceir_edge.network.network import MoceIR

RIDGE = 1e-3
"""How strongly weights stay what they were, beside the mean power of what they are multiplied with."""


@dataclass(frozen=True)
class Recorded:
    """Of a whole network, at the sampled pixels of a batch: what every dense layer gives (P, C), and the trunk after
    each attention (`<block>.mixer`) and each block (`<block>.ffn`). routes: (N, L), None without routers.
    """

    layers: Mapping[str, Tensor]
    trunk: Mapping[str, Tensor]
    routes: Tensor | None


def record(network: MoceIR, images: Tensor) -> Recorded:
    """Run the whole network over a batch (N, 3, H, W)."""
    layers: dict[str, Tensor] = {}
    trunk: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, __: Any, output: Tensor) -> None:
        layers[name] = sampled(output)

    def keep_input(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        trunk[name] = sampled(inputs[0])

    def keep_output(name: str, _: nn.Module, __: Any, output: Any) -> None:
        trunk[name] = sampled(output[0] if isinstance(output, tuple) else output)

    with hooks() as handles, torch.inference_mode():
        for name, layer in dense_layers(network).items():
            handles.append(layer.register_forward_hook(partial(keep, name)))
        for name in all_blocks(network.architecture):
            block = network.get_submodule(name)
            norm = network.get_submodule(f"{name}.norms.1")
            handles.append(norm.register_forward_pre_hook(partial(keep_input, f"{name}.mixer")))
            handles.append(block.register_forward_hook(partial(keep_output, f"{name}.ffn")))
        routes = network(images).routes
    return Recorded(layers, trunk, routes if routes.shape[1] else None)


def repair(
    network: MoceIR, recorded: Recorded, images: Tensor, *, whole: Architecture, kept: Kept, before: Mapping[str, str]
) -> None:
    """Refit a network that was cut from one of the shape `whole`, over the batch that was recorded.

    kept, before: as `cut_channels` had and `drop_blocks` gave them; `kept` has the names of the shortened network.
    """
    cut = _Cut(whole, kept, before, recorded)
    trunk: dict[str, Tensor] = {}

    def keep(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        trunk[name] = sampled(inputs[0])

    def refit(name: str, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        fit(layer, regressors(layer, inputs[0]), cut.target(name, trunk))

    with hooks() as handles, torch.no_grad():
        for name in all_blocks(network.architecture):
            for number, part in enumerate(("mixer", "ffn")):
                norm = network.get_submodule(f"{name}.norms.{number}")
                handles.append(norm.register_forward_pre_hook(partial(keep, f"{name}.{part}")))
        for name, layer in dense_layers(network).items():
            handles.append(layer.register_forward_pre_hook(partial(refit, name)))
        network(images, forced=recorded.routes)


def fit(layer: nn.Conv2d | nn.Linear, inputs: Tensor, target: Tensor) -> None:
    """Change the weights so that inputs (P, I) give the target (P, O) as nearly as a ridge allows."""
    weight = layer.weight.detach().flatten(1).double()
    columns, wanted = inputs.double(), target.double()
    missing = wanted - columns @ weight.T
    if layer.bias is not None:
        missing = missing - layer.bias.double()
        columns = torch.cat([columns, columns.new_ones(len(columns), 1)], 1)
    products = columns.T @ columns
    ridge = RIDGE * products.diagonal().mean().clamp_min(1e-12)
    products.diagonal().add_(ridge)
    change = torch.linalg.solve(products, columns.T @ missing).T.to(layer.weight.dtype)
    if layer.bias is not None:
        layer.bias.add_(change[:, -1])
        change = change[:, :-1]
    layer.weight.add_(change.reshape(layer.weight.shape))


class _Cut:
    """What each layer of the cut network is to give."""

    def __init__(self, whole: Architecture, kept: Kept, before: Mapping[str, str], recorded: Recorded) -> None:
        self.whole, self.before, self.recorded = whole, before, recorded
        self.outputs: dict[str, list[tuple[int, Tensor]]] = {}
        for space in spaces(shortened(whole, before)):
            for cut in space.cuts:
                if cut.axis == 0 and cut.tensor.endswith(".weight") and space.name in kept:
                    positions = torch.from_numpy(cut.positions(kept[space.name]))
                    self.outputs.setdefault(cut.tensor.removesuffix(".weight"), []).append((cut.offset, positions))
        self.last = _last_before_next(whole, before)

    def target(self, name: str, trunk: Mapping[str, Tensor]) -> Tensor:
        """(P, C): what the layer gave, or what the trunk lacks where the layer ends a branch."""
        outputs = self.outputs.get(name)
        positions = None if outputs is None else torch.cat([at for _, at in sorted(outputs, key=lambda pair: pair[0])])
        branch, _, last = name.rpartition(".")
        if last == "project_out" and branch in trunk:
            before = earlier_name(branch, self.before)
            after = self.recorded.trunk[self.last.get(before, before)]
            return (after if positions is None else after[:, positions]) - trunk[branch]
        given = self.recorded.layers[earlier_name(name, self.before)]
        return given if positions is None else given[:, positions]


def _last_before_next(whole: Architecture, before: Mapping[str, str]) -> dict[str, str]:
    """For the end of each block that stays, the end of the last block dropped behind it."""
    stay, found = set(before.values()), {}
    for stack in block_names(whole) if before else ():
        last = None
        for name in stack:
            last = name if name in stay else last
            if last is not None:
                found[f"{last}.ffn"] = f"{name}.ffn"
    return found


def all_blocks(architecture: Architecture) -> tuple[str, ...]:
    """Names of all blocks with a trunk that runs through them, decoder blocks last."""
    return (*(name for stack in block_names(architecture) for name in stack), *architecture.layers)


@contextmanager
def hooks() -> Iterator[list[torch.utils.hooks.RemovableHandle]]:
    """A list of hooks that are removed in the end."""
    handles: list[torch.utils.hooks.RemovableHandle] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()
