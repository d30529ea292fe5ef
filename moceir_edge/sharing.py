"""One loop, shared by the processes that torchrun or Slurm started."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from moceir_edge.errors import InputError, MissingBackendError, MoceirEdgeError
from moceir_edge.processes import by_slurm, place
from moceir_edge.terms import Item, Progress, silent

Result = TypeVar("Result")

Share = tuple[list[Result], MoceirEdgeError | None]
"""What one process has found, or what ended it."""

PATIENCE = timedelta(days=7)
"""How long the quickest process waits for the slowest one; a process that ended is noticed at once."""

MEETING = timedelta(minutes=5)
"""How long processes wait for each other at first."""


class Each(Protocol):
    """A loop: `function` of every item, in order."""

    def __call__(
        self, function: Callable[[Item], Result], items: Sequence[Item], label: str, /, *, progress: Progress = silent
    ) -> list[Result]: ...


def alone(
    function: Callable[[Item], Result], items: Sequence[Item], label: str, /, *, progress: Progress = silent
) -> list[Result]:
    """In this process."""
    return [function(item) for item in progress(items, label)]


def over_processes(
    function: Callable[[Item], Result], items: Sequence[Item], label: str, /, *, progress: Progress = silent
) -> list[Result]:
    """Each process computes every n-th one, and all get everything; alone where nothing started several.

    Results travel, so they are picklable. An error of ours in one process is raised in all. InputError where the
    processes do not find each other.
    """
    number, count = place()
    if count == 1:
        return alone(function, items, label, progress=progress)
    _join(number, count)
    found: list[Result] = []
    error: MoceirEdgeError | None = None
    try:
        found = alone(function, items[number::count], label, progress=progress)
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
    from torch.distributed.rendezvous import rendezvous

    if distributed.is_initialized():
        return
    if by_slurm() and "MASTER_ADDR" not in os.environ:
        _name_slurms_first_node()
    try:
        store, _, _ = next(rendezvous("env://", number, count, timeout=MEETING))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{count} processes did not meet: {reason}", "start them with torchrun or srun") from error
    distributed.init_process_group("gloo", store=store, rank=number, world_size=count, timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)


def _name_slurms_first_node() -> None:
    """Where torch looks for it; host and port as training has them."""
    try:
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    except ImportError as error:
        what = "several processes under Slurm need Lightning, and it is not installed"
        raise MissingBackendError(what, "pip install 'moceir-edge[train]'") from error
    nodes = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_JOB_NODELIST", "127.0.0.1")
    os.environ["MASTER_ADDR"] = SLURMEnvironment.resolve_root_node_address(nodes)
    os.environ["MASTER_PORT"] = str(15000 + int(os.environ.get("SLURM_JOB_ID", "0")[-4:]))
