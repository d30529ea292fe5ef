"""Peak memory of a variant, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from moceir_edge.benchmarking.jobs import Job
from moceir_edge.records import Record, Skipped

CHILD = "moceir_edge.benchmarking.memory_child"


class PeakMemory(Record):
    """Peak resident memory in MiB: with the libraries alone, once the model is loaded, and after it has run."""

    imported_mib: float
    loaded_mib: float
    peak_mib: float

    @property
    def added_mib(self) -> float:
        """What the model and its run need beyond the libraries."""
        return self.peak_mib - self.imported_mib


def measure_memory(job: Job, folder: Path) -> PeakMemory | Skipped:
    """Run a job in a fresh process; `folder` takes the two files they talk through."""
    asked, answered = folder / f"{job.variant}.job.json", folder / f"{job.variant}.memory.json"
    job.write(asked)
    command = [sys.executable, "-m", CHILD, str(asked), str(answered)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        return Skipped(what=f"memory of {job.variant}", reason=f"its process ended with {ended.returncode}: {last}")
    return PeakMemory.read(answered)
