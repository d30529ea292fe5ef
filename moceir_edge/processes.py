"""The processes that torchrun or Slurm started, as the environment names them."""

from __future__ import annotations

import os


def place() -> tuple[int, int]:
    """The number of this process and how many there are; (0, 1) where nothing started several."""
    if "WORLD_SIZE" in os.environ and "RANK" in os.environ:
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if by_slurm():
        return int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    return 0, 1


def were_started() -> bool:
    """Whether torchrun or Slurm started this process, be it alone."""
    return "LOCAL_WORLD_SIZE" in os.environ or by_slurm()


def by_slurm() -> bool:
    """Whether srun started this process, and not a person's shell in an allocation."""
    named = {"SLURM_NTASKS", "SLURM_PROCID"} <= os.environ.keys()
    return named and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def is_first_process() -> bool:
    """Whether this process is the one that writes and speaks; Lightning's own ones have a LOCAL_RANK alone."""
    ranks = [os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK")]
    return next((rank for rank in ranks if rank is not None), "0") == "0"


def on_this_machine() -> int:
    """How many of them compute on this machine, by torchrun's or Slurm's word; 1 where nothing started several."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ["SLURM_NTASKS"]) // int(os.environ.get("SLURM_NNODES", "1")) if by_slurm() else 1
