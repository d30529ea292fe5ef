"""How many processes a training run has."""

from __future__ import annotations

import os

import torch


def processes_and_nodes() -> tuple[int, int]:
    """Processes on a node, and nodes: what torchrun or Slurm started, else one for each GPU, or one."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
    if local:
        return local, int(os.environ["WORLD_SIZE"]) // local
    if "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return max(1, torch.cuda.device_count()), 1
