"""The balance loss over the batch of all processes together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from moceir_edge.network.network import MoceIR
from moceir_edge.network.router import Router


def balance_over_processes(network: MoceIR) -> None:
    """Let every router balance over the logits of all processes.

    Each process computes the same loss from all logits; going back, what every process has for them is added up, and
    the mean over processes that DDP takes makes one gradient of it: that of one process with the whole batch.
    """
    for module in network.modules():
        if isinstance(module, Router):
            module.gather = gathered


def gathered(logits: Tensor) -> Tensor:
    """(N, E) of this process -> (N * processes, E) in the order of the processes, differentiable."""
    if not distributed.is_initialized():
        return logits
    everyone: Tensor = _Gather.apply(logits)  # type: ignore[no-untyped-call]
    return everyone


class _Gather(torch.autograd.Function):
    """The one of `torch.distributed.nn` warns in every call that its own parts are deprecated."""

    @staticmethod
    def forward(_: object, mine: Tensor) -> Tensor:
        everyone = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
        distributed.all_gather(everyone, mine.contiguous())
        return torch.cat(everyone)

    @staticmethod
    def backward(_: object, gradient: Tensor) -> Tensor:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed.chunk(distributed.get_world_size())[distributed.get_rank()]
