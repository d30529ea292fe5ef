"""What memory this device has to give, and what the artifact was measured to take."""

from __future__ import annotations

from pathlib import Path

SAFE_SHARE = 0.5
"""Of what is free: other programs grow, too, and pictures are held beside the model."""


def safe_mib():
    """A safe share of the memory that is free; None where the system does not say."""
    free = [value for value in (available_mib(), group_mib()) if value is not None]
    return SAFE_SHARE * min(free) if free else None


def available_mib(note=Path("/proc/meminfo")):
    """Free memory of the system, as Linux tells it."""
    lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:")), None)


def group_mib(group=Path("/sys/fs/cgroup")):
    """What the process's control group, as of a container, leaves it; None without a limit."""
    try:
        limit, used = ((group / name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    return None if limit == "max" else max(0.0, (int(limit) - int(used) + reclaimable(group)) / 2**20)


def reclaimable(group):
    """Bytes of files that the kernel keeps in a group's memory as long as nobody wants it (cgroup-v2.rst of Linux)."""
    note = group / "memory.stat"
    lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def needed_by(artifact):
    """A function from (height, width) to MiB, None where nobody has measured that."""
    base, slope = artifact.get("memory_base_mib"), artifact.get("memory_mib_per_megapixel")
    if base is None or slope is None:
        return None
    return lambda height, width: base + slope * height * width / 1e6
