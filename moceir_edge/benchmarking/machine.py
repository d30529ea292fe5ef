"""The machine while it was measured: what it is, its clocks, and who else used it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.processor import cores, cpu_lines, has_vnni, processor_name
from moceir_edge.records import Record

STAT = Path("/proc/stat")

BUSY_SHARE = 0.10
"""Share of the machine that others may use before the result carries a warning."""


class Machine(Record):
    """Device and state; None where the system does not tell.

    load_before, load_after: runnable processes, mean of a minute; clocks_mhz: of each core at the end;
    others_share: share of all cores that other processes used during the rounds.
    """

    device: str
    system: str
    cores: int
    vnni: bool | None
    load_before: float | None
    load_after: float | None
    clocks_mhz: tuple[float, ...] | None
    others_share: float | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the timings may be worth less."""
        found = []
        if self.others_share is not None and self.others_share > BUSY_SHARE:
            found.append(f"other processes used {self.others_share:.0%} of the machine during the rounds")
        if self.load_before is not None and self.load_before > self.cores / 2:
            found.append(f"the load was {self.load_before:.1f} on {self.cores} cores before the start")
        return tuple(found)


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


def describe_machine(load_before: float | None, share: float | None) -> Machine:
    """The machine, after the rounds."""
    return Machine(
        device=processor_name(),
        system=f"{platform.system()} {platform.machine()}",
        cores=cores(),
        vnni=has_vnni(),
        load_before=load_before,
        load_after=load(),
        clocks_mhz=_clocks(),
        others_share=share,
    )


def load() -> float | None:
    """Runnable processes, mean of the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _clocks() -> tuple[float, ...] | None:
    return tuple(float(text) for text in cpu_lines("cpu MHz")) or None


def _busy_s() -> float | None:
    """User, nice, system, interrupts and stolen time of all cores."""
    if not STAT.is_file():
        return None
    user, nice, system, _, _, hard, soft, stolen = map(int, STAT.read_text(encoding="utf-8").split()[1:9])
    return (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")
