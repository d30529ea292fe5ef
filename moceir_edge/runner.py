"""One way to run anything that restores pictures: a network, a program, an artifact."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.processes import on_this_machine
from moceir_edge.processor import allowed_cores
from moceir_edge.terms import SIZE_MULTIPLE

if TYPE_CHECKING:  # PyTorch takes a second and 190 MB, and artifacts do without
    from moceir_edge.network.network import MoceIR
    from moceir_edge.program.execute import StaticNetwork

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """restored: (3, H, W) float32, not clipped; agreement: in [0, 1]; scores: (L, E); both None without routers.

    routes: (L,) original expert indices chosen, where the runner knows them; chosen: (L, E) weights of the experts that
    were used, where the caller may give them.
    """

    restored: Image
    agreement: float | None = None
    scores: Image | None = None
    routes: NDArray[np.int64] | None = None
    chosen: Image | None = None


class Runner(Protocol):
    """Restores one picture at a time; `size` is the fixed (height, width) it serves, None for any multiple of 8."""

    @property
    def size(self) -> tuple[int, int] | None: ...

    def run(self, image: Image) -> Outputs:
        """image: (3, H, W) float32 in [0, 1] of a served size."""
        ...


@dataclass(frozen=True)
class NetworkRunner:
    """The network in PyTorch, float32, deterministic, without routing noise."""

    network: MoceIR
    size: tuple[int, int] | None = None

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        return self._run(image, None)

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        """See `TakesGates`."""
        return self._run(image, gates)

    def _run(self, image: Image, gates: Image | None) -> Outputs:
        import torch

        device = next(self.network.parameters()).device
        given = None if gates is None else torch.from_numpy(gates)[None].to(device)
        with torch.inference_mode():
            result = self.network(torch.from_numpy(image)[None].to(device), gates=given)
        restored = result.image[0].cpu().numpy()
        if not result.routes.shape[1]:
            return Outputs(restored)
        scores = result.scores[0].cpu().numpy()
        served = [block.served for _, block in self.network.architecture.routed()]
        agreement = float(np.mean([row.argmax() in kept for row, kept in zip(scores, served, strict=True)]))
        routes = result.routes[0].cpu().numpy()
        chosen = gates_of(scores, routes)
        if gates is not None:
            chosen = np.where(gates.any(1, keepdims=True), gates, chosen)
        return Outputs(restored, agreement, scores, routes, chosen * self._reached())

    def _reached(self) -> NDArray[np.bool_]:
        """(L, E): the experts that a gate reaches; none where it is folded into the weights."""
        shapes = [block for _, block in self.network.architecture.routed()]
        return np.array(
            [[s.mean_gate is None and index in s.served for index in range(len(s.experts))] for s in shapes]
        )


@dataclass(frozen=True)
class ProgramRunner:
    """A program in PyTorch, in float32 or rounded to float16 after every operation."""

    module: StaticNetwork
    size: tuple[int, int] | None = None

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        import torch

        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(image)[None])
        return outputs_from_arrays({name: value.numpy() for name, value in outputs.items()})


class Clocked:
    """A runner that counts what it takes; the first picture, which may still allocate and compile, does not count."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.pixels, self.seconds, self._warm = runner, 0, 0.0, False

    @property
    def size(self) -> tuple[int, int] | None:
        """See `Runner`."""
        return self.runner.size

    @property
    def seconds_per_megapixel(self) -> float | None:
        """Over all pictures that count; None without any."""
        return self.seconds / self.pixels * 1e6 if self.pixels else None

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        start = time.perf_counter()
        outputs = self.runner.run(image)
        if self._warm:
            self.seconds += time.perf_counter() - start
            self.pixels += image.shape[1] * image.shape[2]
        self._warm = True
        return outputs


class TakesGates(Protocol):
    """A runner that lets the caller decide the route.

    gates: (L, E) float32, the weight of one expert in each layer; where all of a layer are 0, its router decides.
    """

    def run_gated(self, image: Image, gates: Image) -> Outputs: ...


@dataclass(frozen=True)
class Steered:
    """A runner that takes gates, as one that restores by itself. gates: (L, E), see `TakesGates`."""

    runner: TakesGates
    gates: Image
    size: tuple[int, int] | None = None

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        return self.runner.run_gated(image, self.gates)


@dataclass(frozen=True)
class Gated:
    """A runner that takes gates, with the gates a network would have chosen."""

    runner: Runner
    chooser: NetworkRunner

    @property
    def size(self) -> tuple[int, int] | None:
        """See `Runner`."""
        return self.runner.size

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        chosen = self.chooser.run(image)
        assert chosen.chosen is not None
        takes = cast(TakesGates, self.runner)
        return takes.run_gated(image, chosen.chosen)


def gates_of(scores: Image, routes: NDArray[np.int64]) -> Image:
    """(L, E): the score of the chosen expert in its place, 0 elsewhere. scores: (L, E); routes: (L,)."""
    gates = np.zeros_like(scores)
    rows = np.arange(len(routes))
    gates[rows, routes] = scores[rows, routes]
    return gates


def outputs_from_arrays(arrays: dict[str, NDArray[np.float32]]) -> Outputs:
    """Outputs from an artifact's arrays by name; batch 1."""
    scores = arrays.get("scores")
    agreement, chosen = arrays.get("agreement"), arrays.get("chosen")
    return Outputs(
        restored=arrays["restored"][0],
        agreement=None if agreement is None else float(agreement.reshape(-1)[0]),
        scores=None if scores is None else scores[0],
        chosen=None if chosen is None else chosen[0],
    )


MOST_THREADS = 256


def check_threads(threads: int | None) -> None:
    """InputError for an impossible number of threads."""
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise InputError(f"{threads} threads are not possible", f"give a number from 1 to {MOST_THREADS}")


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """PyTorch computes with so many threads in the block; None leaves them as they are."""
    check_threads(threads)
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_of_share() -> int | None:
    """For each of the processes that torchrun or Slurm started on this machine; None where there is one."""
    processes = on_this_machine()
    return max(1, allowed_cores() // processes) if processes > 1 else None


def run_padded(runner: Runner, image: Image) -> Outputs:
    """Run a picture of any size: padded right and below by reflection (or edge), cropped back.

    ArtifactError if the runner has a fixed size and the picture does not fit into it.
    """
    height, width = image.shape[1:]
    if runner.size is None:
        target = (height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE)
    else:
        target = runner.size
        if height > target[0] or width > target[1]:
            raise ArtifactError(
                f"a picture of {width}x{height} is larger than the {target[1]}x{target[0]} this artifact serves",
                "export with that size or with size: dynamic",
            )
    outputs = runner.run(pad(image, target))
    restored = np.ascontiguousarray(outputs.restored[:, :height, :width])
    return replace(outputs, restored=restored)


def centre(image: Image, size: tuple[int, int]) -> Image:
    """The centre of (3, H, W), at most (height, width)."""
    top, left = (max(0, (have - want) // 2) for have, want in zip(image.shape[1:], size, strict=True))
    return np.ascontiguousarray(image[:, top : top + size[0], left : left + size[1]])


def pad(image: Image, size: tuple[int, int]) -> Image:
    """Pad (3, H, W) right and below to `size`, by reflection, by edge where a side is too short for that."""
    for axis, target in ((1, size[0]), (2, size[1])):
        missing = target - image.shape[axis]
        if missing:
            widths = [(0, 0), (0, 0), (0, 0)]
            widths[axis] = (0, missing)
            image = np.pad(image, widths, mode="reflect" if missing < image.shape[axis] else "edge")
    return np.ascontiguousarray(image)
