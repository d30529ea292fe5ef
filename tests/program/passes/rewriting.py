"""What every pass is held to: the same outputs on golden S and trained tiny, at awkward sizes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from moceir_edge.demonstration import MODEL
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import MoceIR
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Kind, Program
from tests.golden import SHARP, drawn_pictures, golden_network

Pass = Callable[[Program], Program]

NETWORKS: dict[str, Callable[[], MoceIR]] = {
    "golden S": lambda: golden_network("S", sharpness=SHARP),
    "trained tiny": lambda: load(MODEL).network,
}
SIZES = ((8, 8), (40, 72), (64, 48))
PARITY_DB = 100.0
"""Errors of 1e-5 in a range of 1; the gate is 80 dB."""


def parity_db(before: Program, after: Program, size: tuple[int, int]) -> float:
    """The worst output of the rewritten program against the one before, on a drawn picture of a size."""
    [image] = drawn_pictures(1, height=size[0], width=size[1]).split(1)
    first, second = _run(before, image), _run(after, image)
    assert first.keys() == second.keys()
    return min(psnr_db(first[name].numpy(), second[name].numpy()) for name in first)


def _run(program: Program, image: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return dict(StaticNetwork(program)(image))


def count(program: Program, kind: Kind) -> int:
    """How many operations of a kind."""
    return sum(op.kind is kind for op in program.operations)


def lowered(network: str) -> Program:
    """The program of one of the networks."""
    return lower(NETWORKS[network]())
