"""The machine while it was measured: what it is, its clocks, and who else used it."""

from __future__ import annotations

import os
import platform

from moceir_edge.contention import busy_text
from moceir_edge.processor import cores, cpu_lines, has_vnni, processor_name
from moceir_edge.records import Record


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
        busy = busy_text(self.others_share)
        if busy:
            found.append(f"{busy} during the rounds")
        if self.load_before is not None and self.load_before > self.cores / 2:
            found.append(f"the load was {self.load_before:.1f} on {self.cores} cores before the start")
        return tuple(found)


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
