"""What channels are worth: what layers read, and how far an error of what they give is seen in the picture."""

from __future__ import annotations

from collections.abc import Sequence
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
from moceir_edge.terms import Progress, silent

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LayerStatistics:
    """Of a dense layer, means over pictures.

    products: (I, I), mean over pixels of x x^T of what it reads, centre tap alone; 0 where no picture came by, at an
    expert that none was routed to.
    gains: (O,), mean squared error of the picture for each unit of mean squared error of an output channel.
    weight: (O, I, k k), its weights.
    """

    products: Array
    gains: Array
    weight: Array

    @property
    def seen(self) -> bool:
        """Whether a picture came by."""
        return bool(self.products.any())

    @property
    def importance(self) -> Array:
        """(I,): mean squared error of the picture without the channel, nothing else changed, whatever its taps."""
        return np.diagonal(self.products) * np.einsum("o,oik->i", self.gains, np.square(self.weight))


def measure_statistics(
    network: MoceIR, pictures: Sequence[Tensor], *, progress: Progress = silent
) -> dict[str, LayerStatistics]:
    """One forward and one backward pass for each picture (1, 3, H, W).

    An error e of a layer changes the picture by J e, to first order. The gradient of r . picture, with r of random
    signs, is J^T r, and its mean square is that of the columns of J (Hutchinson's estimator).
    """
    layers = dense_layers(network)
    products: dict[str, Any] = dict.fromkeys(layers, 0.0)
    gains = {name: np.zeros(len(layer.weight)) for name, layer in layers.items()}
    counts = dict.fromkeys(layers, 0)
    generator = torch.Generator().manual_seed(0)

    def look(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rows = sampled(inputs[0].detach()).double()
        products[name] = products[name] + (rows.T @ rows / len(rows)).numpy()
        counts[name] += 1
        output.register_hook(partial(keep, name))  # type: ignore[no-untyped-call]

    def keep(name: str, gradient: Tensor) -> None:
        squares = gradient.double().square().reshape(*gradient.shape[:2], -1)
        gains[name] = gains[name] + squares.sum((0, 2)).numpy()

    with hooks() as handles:
        handles += [layer.register_forward_hook(partial(look, name)) for name, layer in layers.items()]
        for picture in progress(pictures, "measuring what channels are worth"):
            restored = network(picture.requires_grad_()).image
            signs = torch.randint(0, 2, restored.shape, generator=generator) * 2.0 - 1
            (restored * signs).sum().div(restored.numel() ** 0.5).backward()
            network.zero_grad()
    return {
        name: _statistics(layer, products[name], gains[name] / len(pictures), counts[name])
        for name, layer in layers.items()
    }


def _statistics(layer: nn.Conv2d | nn.Linear, products: Any, gains: Array, count: int) -> LayerStatistics:
    """Products are means over the pictures that came by, gains over all: an expert counts as often as it is used."""
    weight = layer.weight.detach().double().numpy()
    outputs, inputs = weight.shape[:2]
    return LayerStatistics(
        products=np.zeros((inputs, inputs)) if count == 0 else products / count,
        gains=gains,
        weight=weight.reshape(outputs, inputs, -1),
    )
