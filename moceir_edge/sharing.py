"""One loop, shared by the processes that torchrun or Slurm started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from moceir_edge.errors import MissingBackendError, MoceirEdgeError
from moceir_edge.processes import by_slurm, place
from moceir_edge.terms import Item, Progress, silent

Result = TypeVar("Result")

Share = tuple[list[Result], MoceirEdgeError | None]
"""What one process has found, or what ended it."""

PATIENCE = timedelta(days=7)
"""How long the quickest process waits for the slowest one; a process that ended is noticed at once."""


def over_processes(
    function: Callable[[Item], Result], items: Sequence[Item], label: str, *, progress: Progress = silent
) -> list[Result]:
    """`function` of every item, in order: each process computes every n-th one, and all get everything.

    Results travel, so they are picklable. An error of ours in one process is raised in all.
    """
    number, count = place()
    if count == 1:
        return [function(item) for item in progress(items, label)]
    _join(number, count)
    found: list[Result] = []
    error: MoceirEdgeError | None = None
    try:
        found = [function(item) for item in progress(items[number::count], label)]
    except MoceirEdgeError as raised:
        error = raised
    shares = _gathered((found, error), count)
    for _, raised_there in shares:
        if raised_there is not None:
            raise raised_there
    return [shares[index % count][0][index // count] for index in range(len(items))]


def _gathered(mine: Share[Result], count: int) -> list[Share[Result]]:
    from torch import distributed

    everyone = [mine] * count
    distributed.all_gather_object(everyone, mine)
    return everyone


def _join(number: int, count: int) -> None:
    """Meet the other processes, once."""
    import atexit

    from torch import distributed

    if distributed.is_initialized():
        return
    if by_slurm() and "MASTER_ADDR" not in os.environ:
        _name_slurms_first_node()
    distributed.init_process_group("gloo", rank=number, world_size=count, timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)


def _name_slurms_first_node() -> None:
    """As training does it."""
    try:
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    except ImportError as error:
        what = "several processes under Slurm need Lightning, and it is not installed"
        raise MissingBackendError(what, "pip install 'moceir-edge[train]'") from error
    slurm = SLURMEnvironment()
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = slurm.main_address, str(slurm.main_port)
