"""What channels are worth: what layers read, and how far an error of what they give is seen in the picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from moceir_edge.narrowing.repair import hooks
from moceir_edge.narrowing.sampling import dense_layers, sampled
from moceir_edge.network.network import MoceIR

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerStatistics:
    """Of a dense layer, means over pictures.

    products: (I, I), mean over pixels of x x^T of what it reads, centre tap alone.
    gains: (O,), mean squared error of the picture for each unit of mean squared error of an output channel.
    weight: (O, I, k k), its weights.
    """

    products: Array
    gains: Array
    weight: Array

    @property
    def importance(self) -> Array:
        """(I,): mean squared error of the picture without the channel, nothing else changed, whatever its taps."""
        return np.diagonal(self.products) * np.einsum("o,oik->i", self.gains, np.square(self.weight))


def measure_statistics(network: MoceIR, pictures: Iterable[Tensor]) -> dict[str, LayerStatistics]:
    """One forward and one backward pass for each picture (1, 3, H, W).

    An error e of a layer changes the picture by J e, to first order. The gradient of r . picture, with r of random
    signs, is J^T r, and its mean square is that of the columns of J (Hutchinson's estimator).
    """
    layers = dense_layers(network)
    products = {name: 0.0 for name in layers}
    gains = {name: 0.0 for name in layers}
    counts = dict.fromkeys(layers, 0)
    generator = torch.Generator().manual_seed(0)

    def look(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rows = sampled(inputs[0].detach()).double()
        products[name] = products[name] + (rows.T @ rows / len(rows)).numpy()
        counts[name] += 1
        output.register_hook(partial(keep, name))

    def keep(name: str, gradient: Tensor) -> None:
        squares = gradient.double().square().sum((2, 3) if gradient.dim() == 4 else ()).sum(0)
        gains[name] = gains[name] + squares.numpy()

    with hooks() as handles:
        handles += [layer.register_forward_hook(partial(look, name)) for name, layer in layers.items()]
        for picture in pictures:
            restored = network(picture.requires_grad_()).image
            signs = torch.randint(0, 2, restored.shape, generator=generator) * 2.0 - 1
            (restored * signs).sum().div(restored.numel() ** 0.5).backward()
            network.zero_grad()
    return {
        name: LayerStatistics(
            products=_square(products[name], layer, counts[name]),
            gains=np.broadcast_to(np.asarray(gains[name], np.float64) / max(1, counts[name]), (len(layer.weight),)),
            weight=layer.weight.detach().flatten(2).double().numpy() if layer.weight.dim() > 2 else _taps(layer),
        )
        for name, layer in layers.items()
    }


def _square(found: Any, layer: nn.Module, count: int) -> Array:
    inputs = layer.weight.shape[1]  # type: ignore[union-attr, index]
    return np.zeros((inputs, inputs)) if count == 0 else np.asarray(found, np.float64) / count


def _taps(layer: nn.Module) -> Array:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight.detach().double().numpy()[:, :, None]
