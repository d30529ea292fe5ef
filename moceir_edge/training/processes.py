"""How many processes a training run has."""

from __future__ import annotations

import torch

from moceir_edge.processes import on_this_machine, place, were_started


def processes_and_nodes() -> tuple[int, int]:
    """Processes on a node, and nodes: what torchrun or Slurm started, else one for each GPU, or one."""
    if were_started():
        return on_this_machine(), place()[1] // on_this_machine()
    return max(1, torch.cuda.device_count()), 1
