"""Who else used the processor while something was timed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.processor import cores

STAT = Path("/proc/stat")

BUSY_SHARE = 0.10
"""Share of the machine that others may use before timings carry a warning."""


@dataclass(frozen=True)
class Moment:
    """Processor time in seconds so far: of everyone (None where the system does not tell), and of this process."""

    wall_s: float
    everyone_s: float | None
    own_s: float


def moment() -> Moment:
    """Now."""
    own = os.times()
    return Moment(time.monotonic(), _busy_s(), own.user + own.system)


def others_share(before: Moment, after: Moment) -> float | None:
    """Share of all cores that others used between two moments."""
    if before.everyone_s is None or after.everyone_s is None:
        return None
    others = after.everyone_s - before.everyone_s - (after.own_s - before.own_s)
    return max(0.0, others / ((after.wall_s - before.wall_s) * cores()))


def busy_text(share: float | None) -> str:
    """What to say of a share that makes timings worth less; empty where it does not, or is not known."""
    return "" if share is None or share <= BUSY_SHARE else f"other processes used {share:.0%} of the machine"


def _busy_s() -> float | None:
    """User, nice, system, interrupts and stolen time of all cores."""
    if not STAT.is_file():
        return None
    user, nice, system, _, _, hard, soft, stolen = map(int, STAT.read_text(encoding="utf-8").split()[1:9])
    return (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")
