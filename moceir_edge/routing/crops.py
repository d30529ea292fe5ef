"""Centre crops of pictures on which a network is run many times, from any layer on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.metrics import quality_db
from moceir_edge.network.network import KEEP, Midway, MoceIR
from moceir_edge.runner import Image, pad
from moceir_edge.sharing import Each
from moceir_edge.terms import SIZE_MULTIPLE, Progress, Task

Result = TypeVar("Result")

CROP = 256
"""Longest side of a crop: the routers see a whole picture, and no more is needed to see what an expert adds."""

PER_TASK = 4
"""Pictures of each task: every one of them is run dozens of times."""

BEST_DB = 100.0
"""PSNR above this counts as this, so that differences stay finite; 8-bit pictures end at 59 dB."""


@dataclass(frozen=True)
class Crop:
    """A crop of a sample; image, target: (3, H, W), at most `CROP` a side; target is None where there is none."""

    sample: Sample
    image: Image
    target: Image | None

    def quality_db(self, restored: Image) -> float | None:
        """PSNR against the target, if there is one."""
        return None if self.target is None else min(quality_db(self.target, restored), BEST_DB)


def over_crops(
    function: Callable[[Crop], Result], dataset: Dataset, label: str, *, each: Each, progress: Progress
) -> list[tuple[Task, Result]]:
    """`function` of the centre of every sample, with the sample's task."""

    def of_sample(sample: Sample) -> tuple[Task, Result]:
        pair = sample.load()
        crop = Crop(sample, _centre(pair.input), None if pair.target is None else _centre(pair.target))
        return sample.task, function(crop)

    return each(of_sample, dataset.samples, label, progress=progress)


class Replay:
    """A network in the middle of one crop: what comes before a change is computed once.

    stages: the state before each routed layer; routes: (L) the network's own, empty without routers.
    """

    def __init__(self, network: MoceIR, image: Image) -> None:
        self.network, self.height, self.width = network, image.shape[1], image.shape[2]
        self.device = next(network.parameters()).device
        size = (self.height + -self.height % SIZE_MULTIPLE, self.width + -self.width % SIZE_MULTIPLE)
        with torch.inference_mode():
            midway = network.encode(torch.from_numpy(pad(image, size))[None].to(self.device))
            self.stages, routes = [midway], []
            for _ in network.architecture.layers:
                midway, routing = network.step(midway)
                self.stages.append(midway)
                if routing is not None:
                    routes.append(int(routing.route))
        self.routes = tuple(routes)
        self.restored = self._finished(midway)

    def forced(self, routes: tuple[int, ...]) -> Image:
        """The restored crop with these routes (L); `KEEP` leaves a layer to its router. The gates stay the routers'."""
        first = next((layer for layer, route in enumerate(routes) if route != KEEP), len(routes))
        midway = self.stages[first]
        with torch.inference_mode():
            for route in routes[first:]:
                midway, _ = self.network.step(midway, None, torch.tensor([route], device=self.device))
        return self._finished(midway)

    def noisy(self, noise: NDArray[np.float32]) -> tuple[Image, tuple[int, ...]]:
        """The restored crop and its routes with routing noise (L, E), standard normal."""
        midway, routes = self.stages[0], []
        with torch.inference_mode():
            for row in torch.from_numpy(noise).to(self.device):
                midway, routing = self.network.step(midway, row[None])
                assert routing is not None
                routes.append(int(routing.route))
        return self._finished(midway), tuple(routes)

    def _finished(self, midway: Midway) -> Image:
        with torch.inference_mode():
            restored: Tensor = self.network.finish(midway)
        return np.ascontiguousarray(restored[0, :, : self.height, : self.width].cpu().numpy())


def _centre(pixels: Image) -> Image:
    top, left = (max(0, (side - CROP) // 2) for side in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:, top : top + CROP, left : left + CROP])
