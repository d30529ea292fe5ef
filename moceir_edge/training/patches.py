"""Patches to learn from: everything about sample number n follows from the seed and n, whichever process makes it.

So a run that is resumed, or spread over more processes, sees the same patches, degradations and routing noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from moceir_edge.data.degrade import degrade
from moceir_edge.errors import PictureError
from moceir_edge.training.pictures import Samples8, Shelf
from moceir_edge.training.sources import TrainSample

TRIES = 16
"""Samples that are tried in place of one that cannot be read."""


class Patch(TypedDict):
    """input, target: (3, patch, patch) float32 in [0, 1]; noise: (L, E) standard normal; unreadable: what was passed
    over, as lines of text; usable: False where nothing could be read in place of it. A process that reads data cannot
    raise our errors in the one that trains.
    """

    input: Tensor
    target: Tensor
    noise: Tensor
    unreadable: str
    usable: bool


class Patches(Dataset[Patch]):
    """Endless: sample n is the n-th of all passes, each in an order of its own.

    routers: (L, E), routed layers and experts. cache_mib: decoded pictures that are kept.
    """

    def __init__(
        self, samples: Sequence[TrainSample], *, patch: int, routers: tuple[int, int], seed: int, cache_mib: int
    ) -> None:
        self.samples, self.patch, self.routers, self.seed = tuple(samples), patch, routers, seed
        self._shelf = Shelf(cache_mib)

    def __len__(self) -> int:
        """Of one pass."""
        return len(self.samples)

    def __getitem__(self, number: int) -> Patch:
        unreadable = []
        for attempt in range(TRIES):
            sample = self.sample(number + attempt)
            try:
                source, target = self._cut(sample, np.random.default_rng([self.seed, 1, number, attempt]))
            except PictureError as error:
                unreadable.append(error.what)
                continue
            noise = np.random.default_rng([self.seed, 2, number]).standard_normal(self.routers, np.float32)
            return Patch(
                input=torch.from_numpy(source),
                target=torch.from_numpy(target),
                noise=torch.from_numpy(noise),
                unreadable="\n".join(unreadable),
                usable=True,
            )
        blank = torch.zeros(3, self.patch, self.patch)
        text = "\n".join(unreadable)
        return Patch(input=blank, target=blank, noise=torch.zeros(self.routers), unreadable=text, usable=False)

    def sample(self, number: int) -> TrainSample:
        """Which sample comes at this place of all passes."""
        epoch, position = divmod(number, len(self.samples))
        return self.samples[_order(self.seed, epoch, len(self.samples))[position]]

    def _cut(self, sample: TrainSample, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        source = self._shelf.read(sample.input)
        target = source if sample.target == sample.input else self._shelf.read(sample.target)
        if source.shape != target.shape:
            raise PictureError(f"{sample.input} and {sample.target} are not of equal size", "give pairs of equal size")
        rows, columns = (side - self.patch for side in source.shape[1:])
        if min(rows, columns) < 0:
            raise PictureError(f"{sample.input} is smaller than {self.patch}x{self.patch}", "give larger pictures")
        top, left = int(random.integers(rows + 1)), int(random.integers(columns + 1))
        turns, flips = int(random.integers(4)), bool(random.integers(2))

        def patch(samples: Samples8) -> NDArray[np.float32]:
            cut = samples[:, top : top + self.patch, left : left + self.patch]
            turned = np.rot90(cut[:, :, ::-1] if flips else cut, turns, (1, 2))
            return np.ascontiguousarray(turned, np.float32) / np.float32(255)

        clean = patch(target)
        if not sample.strengths:
            return patch(source), clean
        strength = sample.strengths[int(random.integers(len(sample.strengths)))]
        return degrade(clean, sample.tasks[0], strength, seed=int(random.integers(2**62))), clean


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


class Numbers(Sampler[int]):
    """The numbers of the samples of one process, from an optimizer step on, without end.

    In every step of `accumulate` batches, the processes take neighbouring batches.
    """

    def __init__(self, *, first: int, batch: int, process: int = 0, processes: int = 1) -> None:
        self.first, self.batch, self.process, self.processes = first, batch, process, processes

    def __iter__(self) -> Iterator[int]:
        start = self.first
        while True:
            here = start + self.process * self.batch
            yield from range(here, here + self.batch)
            start += self.processes * self.batch
