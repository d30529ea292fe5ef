"""The balance loss over the batch of all processes together."""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather

from moceir_edge.network.network import MoceIR
from moceir_edge.network.router import Router


def balance_over_processes(network: MoceIR) -> None:
    """Let every router balance over the logits of all processes.

    Each process computes the same loss from all logits; going back, `all_gather` adds up what every process has for
    them, and the mean over processes that DDP takes makes one gradient of it: that of one process with the whole batch.
    """
    for module in network.modules():
        if isinstance(module, Router):
            module.gather = gathered


def gathered(logits: Tensor) -> Tensor:
    """(N, E) of this process -> (N * processes, E) in the order of the processes, differentiable."""
    if not distributed.is_initialized():
        return logits
    everyone: tuple[Tensor, ...] = all_gather(logits)  # type: ignore[no-untyped-call]
    return torch.cat(everyone)
