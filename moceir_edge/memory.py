"""Memory: what a model was measured to take, and what this machine has to give."""

from __future__ import annotations

import os
from pathlib import Path

from moceir_edge.records import Record

SAFE_SHARE = 0.5
"""Of the memory that is free: other programs grow, too, and pictures are held beside the model."""

MEGAPIXEL = 1e6


class Memory(Record):
    """Peak resident memory of a process that runs a model: the runtime with the weights, and what a picture adds."""

    base_mib: float
    mib_per_megapixel: float

    def needed_mib(self, height: int, width: int) -> float:
        """For one picture of height x width pixels."""
        return self.base_mib + self.mib_per_megapixel * height * width / MEGAPIXEL


def safe_memory_mib() -> float | None:
    """A safe share of the memory that is free here; None where the system does not say."""
    free = [value for value in (_available_mib(), _group_mib()) if value is not None]
    return SAFE_SHARE * min(free) if free else None


def _available_mib() -> float | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    names = getattr(os, "sysconf_names", {})  # macOS tells what it has, not what is free: take half of it as free
    if "SC_PHYS_PAGES" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**21
    return None


def _group_mib(group: Path = Path("/sys/fs/cgroup")) -> float | None:
    """What the process's control group (version 2, as in a container) leaves it; None without a limit."""
    try:
        limit, used = ((group / name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return None if limit == "max" else max(0.0, (int(limit) - int(used) + _reclaimable(group)) / 2**20)


def _reclaimable(group: Path) -> int:
    """Bytes of files that the kernel keeps in a group's memory as long as nobody wants it (cgroup-v2.rst of Linux)."""
    note = group / "memory.stat"
    lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
