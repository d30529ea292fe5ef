"""The processes that torchrun or Slurm started, as the environment names them."""

from __future__ import annotations

import os


def place() -> tuple[int, int]:
    """The number of this process and how many there are; (0, 1) where nothing started several."""
    if "WORLD_SIZE" in os.environ and "RANK" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if by_slurm():
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
    return 0, 1


def by_slurm() -> bool:
    """Whether srun started this process: a batch script and a shell in an allocation are alone in it."""
    return {"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"} <= os.environ.keys()


def is_first_process() -> bool:
    """Whether this process is the one that writes and speaks; Lightning's own ones have a LOCAL_RANK alone."""
    ranks = [os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK")]
    return next((rank for rank in ranks if rank is not None), "0") == "0"


def on_this_machine() -> int:
    """How many of them compute on this machine; 1 where nothing started several."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    if by_slurm():
        return max(1, int(os.environ["SLURM_STEP_NUM_TASKS"]) // int(os.environ.get("SLURM_STEP_NUM_NODES", "1")))
    return 1
