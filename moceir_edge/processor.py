"""The processor of this machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """As the system calls it."""
    found = cpu_lines("model name")
    return found[0] if found else platform.processor() or platform.machine()


def is_arm() -> bool:
    """Whether it is a 64-bit Arm."""
    return platform.machine().lower() in ("aarch64", "arm64")


def cores() -> int:
    """Cores that the system shows."""
    return os.cpu_count() or 1


def allowed_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores()


def has_vnni() -> bool | None:
    """Whether this x86 multiplies 8-bit integers without saturating (VNNI); None where that cannot be told."""
    if platform.machine() not in ("x86_64", "AMD64") or not CPUINFO.is_file():
        return None
    return "vnni" in CPUINFO.read_text(encoding="utf-8")


def has_bfloat16() -> bool | None:
    """Whether this processor multiplies bfloat16 numbers (AVX-512 BF16, AMX, Arm); None where that cannot be told."""
    return "bf16" in CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else None


def identity() -> dict[str, str | int | bool | None]:
    """What makes timings of one processor not those of another."""
    return {"processor": processor_name(), "cores": cores(), "vnni": has_vnni(), "bfloat16": has_bfloat16()}


def cpu_lines(name: str) -> Sequence[str]:
    """What Linux says of each core under a name; empty elsewhere."""
    text = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
    return re.findall(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
