"""Opening a job as a runner, in the library that runs it."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any, assert_never, cast

import numpy as np
import torch

from moceir_edge.benchmarking.jobs import Job, Library
from moceir_edge.errors import MissingBackendError
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import MoceIR
from moceir_edge.runner import Image, NetworkRunner, Outputs, Runner, outputs_from_arrays
from moceir_edge.targets.onnx_runtime import OnnxRunner

BENCH_REPAIR = "pip install 'moceir-edge[bench]'"


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
            return OpenVinoRunner(path, size=job.size, threads=job.threads, precision_hint=job.precision_hint)
        case _:
            assert_never(job.library)


def import_library(library: Library) -> None:
    """Load what `open_job` will use, and nothing else."""
    if library in (Library.ONNXRUNTIME, Library.OPENVINO):
        importlib.import_module(library.value)


def _network(job: Job) -> MoceIR:
    torch.set_num_threads(job.threads)
    return load(job.file).network


class OpenVinoRunner:
    """A model file in OpenVINO on the CPU, set up for one picture at a time."""

    def __init__(self, path: Path, *, size: tuple[int, int], threads: int, precision_hint: str | None) -> None:
        self.size: tuple[int, int] | None = size
        settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        if precision_hint is not None:
            settings["INFERENCE_PRECISION_HINT"] = precision_hint
        self.compiled = openvino().Core().compile_model(str(path), "CPU", settings)
        self.names = [port.get_any_name() for port in self.compiled.outputs]

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        found = self.compiled([np.ascontiguousarray(image[None], np.float32)])
        return outputs_from_arrays({name: np.array(found[i]) for i, name in enumerate(self.names)})


def openvino() -> Any:
    """The library; MissingBackendError where it is not installed."""
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingBackendError("openvino is not installed", BENCH_REPAIR) from error
