"""OpenVINO on the CPU."""

from __future__ import annotations

import time

import numpy as np
import openvino
from backend import first_line, library_versions
from bundle import feeds_of
from problem import Problem

HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoBackend:
    """See `backend`."""

    build_ms = None

    def __init__(self, artifact, *, threads, profile_operators):
        self.artifact, self.size, self.steers = artifact, artifact["size"], artifact["steers"]
        start = time.perf_counter()
        self.compiled = compiled(artifact, threads, profile_operators)
        self.request = self.compiled.create_infer_request()
        self.load_ms = 1000 * (time.perf_counter() - start)
        self.names = [port.get_any_name() for port in self.compiled.outputs]
        self.profiled = profile_operators
        floats = self.compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        version = openvino.__version__.split("-")[0]
        self.runtime = {"name": "openvino", "version": version, "provider": "CPU, " + floats, "threads": threads}
        self.versions = library_versions(openvino=version)

    def run(self, image, gates=None):
        """See `backend`."""
        try:
            found = self.request.infer(feeds_of(self.artifact, image, gates))
        except RuntimeError as error:
            raise Problem("OpenVINO fails: {}; export the model again".format(first_line(error))) from error
        return {name: np.array(found[index])[0] for index, name in enumerate(self.names)}

    def operators(self):
        """See `backend`; of the last run."""
        rows = {}
        for kernel in self.request.profiling_info if self.profiled else ():
            time_ms = 1000 * kernel.real_time.total_seconds()
            if time_ms > 0:
                row = rows.setdefault(kernel.node_type, {"kind": kernel.node_type, "time_ms": 0.0, "count": 0})
                row["time_ms"] += time_ms
                row["count"] += 1
        return sorted(rows.values(), key=lambda row: -row["time_ms"])


def compiled(artifact, threads, profile):
    """A compiled model for one picture at a time, whose floats are those that the recipe asks for."""
    recipe = artifact["recipe"]
    floats = (recipe.get("openvino") or {}).get("floats", "float32")
    floats = floats if recipe["precision"] == "int8" else recipe["precision"]
    settings = {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": profile}
    core = openvino.Core()
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    if floats != "bfloat16" or "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        settings["INFERENCE_PRECISION_HINT"] = HINTS[floats]
    try:
        return core.compile_model(core.read_model(str(artifact["path"])), "CPU", settings)
    except RuntimeError as error:
        text = "OpenVINO {} does not load the model: {}; export it for this version"
        raise Problem(text.format(openvino.__version__, str(error).strip().splitlines()[-1][:200])) from error
