"""How long a training step takes, against a plain PyTorch loop of the same network.

Usage: python -m moceir_edge.training.speed [SIZE [BATCH [PATCH]]]; prints milliseconds and the median ratio.
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import median

import torch
from torch import Tensor, nn

from moceir_edge.network.depthwise import DepthwiseConv
from moceir_edge.network.layers import ChannelNorm, PointwiseConv, normalized
from moceir_edge.network.network import MoceIR
from moceir_edge.processor import cores, processor_name
from moceir_edge.records import Record
from moceir_edge.runner import torch_threads
from moceir_edge.timing import interleaved_ms
from moceir_edge.training.allocation import keep_freed_memory
from moceir_edge.training.initial import fresh_network
from moceir_edge.training.losses import frequency_loss, pixel_loss
from moceir_edge.training.module import as_learned

ROUNDS = 9


class StepSpeed(Record):
    """Medians in milliseconds; ratio: the median of the rounds' own, plain over ours."""

    size: str
    batch: int
    patch: int
    ours_ms: float
    plain_ms: float
    ratio: float
    machine: str


def measure_step(size: str, *, batch: int = 8, patch: int = 64, rounds: int = ROUNDS) -> StepSpeed:
    """Forward, backward and AdamW of a batch of noise, with a thread for each core.

    Each kind in a process of its own, as `run_training` keeps memory for a whole process; their steps are interleaved.
    """
    with _stepping(size, batch, patch, is_plain=False) as ours, _stepping(size, batch, patch, is_plain=True) as plain:
        found = interleaved_ms({"ours": ours, "plain": plain}, rounds=rounds)
    ratio = median(a / b for a, b in zip(found["plain"], found["ours"], strict=True))
    machine = f"{processor_name()}, {cores()} threads"
    return StepSpeed(
        size=size,
        batch=batch,
        patch=patch,
        ours_ms=median(found["ours"]),
        plain_ms=median(found["plain"]),
        ratio=ratio,
        machine=machine,
    )


@contextmanager
def _stepping(size: str, batch: int, patch: int, *, is_plain: bool) -> Iterator[Callable[[], object]]:
    """A process that takes one step whenever it is called."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_steps, args=(there, size, batch, patch, is_plain), daemon=True)
    process.start()
    there.close()

    def step() -> None:
        here.send(True)
        here.recv()

    try:
        yield step
    finally:
        here.close()
        process.join()


def _steps(asked: Connection, size: str, batch: int, patch: int, is_plain: bool) -> None:  # noqa: FBT001 (of a process)
    network = fresh_network(size, seed=0, complexity=True).train()
    if not is_plain:
        keep_freed_memory()
    with torch_threads(cores()):
        step = _step(plain(network) if is_plain else network, batch, patch, plain=is_plain)
        with contextlib.suppress(EOFError):
            while asked.recv():
                step()
                asked.send(True)


def plain(network: MoceIR) -> MoceIR:
    """The same network with PyTorch's own convolutions everywhere, and normalization step by step."""
    other = copy.deepcopy(network)
    for module in other.modules():
        if isinstance(module, DepthwiseConv | PointwiseConv):
            module.__class__ = nn.Conv2d  # type: ignore[assignment]
        elif isinstance(module, ChannelNorm):
            module.__class__ = _PlainNorm
    return other


class _PlainNorm(ChannelNorm):
    def forward(self, x: Tensor) -> Tensor:
        return normalized(x, self.body.weight, self.body.bias, self.epsilon)


def _step(network: MoceIR, batch: int, patch: int, *, plain: bool) -> Callable[[], object]:
    random = torch.Generator().manual_seed(0)
    source, target = (torch.rand(batch, 3, patch, patch, generator=random) for _ in range(2))
    source = source if plain else as_learned(source)
    architecture = network.architecture
    noise = torch.randn(batch, len(architecture.layers), architecture.experts, generator=random)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-6, fused=not plain)

    def step() -> None:
        restored = network(source, noise=noise)
        loss = pixel_loss(restored.image, target) + 0.1 * frequency_loss(restored.image, target)
        (loss + 0.01 * restored.balance_loss).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


if __name__ == "__main__":
    given = sys.argv[1:]
    numbers = dict(zip(("batch", "patch"), map(int, given[1:]), strict=False))
    sys.stdout.write(measure_step(given[0] if given else "tiny", **numbers).model_dump_json(indent=1) + "\n")
