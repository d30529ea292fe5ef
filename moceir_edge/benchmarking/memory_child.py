"""The process in which `memory` measures: a job's file in, a PeakMemory's file out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from moceir_edge.benchmarking.jobs import Job
from moceir_edge.benchmarking.libraries import import_library, open_job
from moceir_edge.benchmarking.memory import PeakMemory
from moceir_edge.targets.memory_probe import peak_mib

RUNS = 3
"""Runtimes settle their buffers in the second run."""


def main(asked: Path, answered: Path) -> None:
    """Measure one job."""
    job = Job.read(asked)
    image = np.load(job.picture)
    import_library(job.library)
    imported = peak_mib()
    runner = open_job(job)
    loaded = peak_mib()
    for _ in range(RUNS):
        runner.run(image)
    PeakMemory(imported_mib=imported, loaded_mib=loaded, peak_mib=peak_mib()).write(answered)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
