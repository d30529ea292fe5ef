"""Opening a job as a runner, in the library that runs it."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import assert_never, cast

import torch

from moceir_edge.benchmarking.jobs import Job, Library
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import MoceIR
from moceir_edge.runner import NetworkRunner, Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.openvino_library import OpenVinoRunner


def open_job(job: Job) -> Runner:
    """A runner on the job's threads; for PyTorch they are those of the whole process."""
    path = Path(job.file)
    match job.library:
        case Library.PYTORCH:
            return NetworkRunner(_network(job))
        case Library.PYTORCH_COMPILED:
            logging.getLogger("torch._dynamo").setLevel(logging.ERROR)  # it tells of every choice of an expert
            return NetworkRunner(cast(MoceIR, torch.compile(_network(job))))
        case Library.ONNXRUNTIME:
            return OnnxRunner(path, size=job.size, threads=job.threads)
        case Library.OPENVINO:
            return OpenVinoRunner(path, size=job.size, threads=job.threads, hint=job.precision_hint)
        case _:
            assert_never(job.library)


def import_library(library: Library) -> None:
    """Load what `open_job` will use, and nothing else."""
    if library in (Library.ONNXRUNTIME, Library.OPENVINO):
        importlib.import_module(library.value)


def _network(job: Job) -> MoceIR:
    torch.set_num_threads(job.threads)
    return load(job.file).network
