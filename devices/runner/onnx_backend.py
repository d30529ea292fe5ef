"""ONNX Runtime: on the CPU, a GPU or a phone's own library, or on Qualcomm's NPU where the installed library has it."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import onnxruntime
from backend import first_line, library_versions
from bundle import feeds_of
from problem import Problem

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
QNN = "QNNExecutionProvider"
QNN_OPTIONS = {"backend_path": "QnnHtp.dll" if sys.platform == "win32" else "libQnnHtp.so"}


class OnnxBackend:
    """See `backend`."""

    build_ms = None

    def __init__(self, artifact, target, *, threads, traces):
        self.artifact, self.size, self.steers = artifact, artifact["size"], artifact["steers"]
        self.traced, self.runs = traces is not None, 0
        start = time.perf_counter()
        self.session = loaded(artifact, target, threads, traces)
        self.load_ms = 1000 * (time.perf_counter() - start)
        self.names = [output.name for output in self.session.get_outputs()]
        self.runtime = {
            "name": "onnxruntime",
            "version": onnxruntime.__version__,
            "provider": self.session.get_providers()[0],
            "threads": threads,
        }
        self.versions = library_versions(onnxruntime=onnxruntime.__version__)

    def run(self, image, gates=None):
        """See `backend`."""
        try:
            arrays = self.session.run(self.names, feeds_of(self.artifact, image, gates))
        except Exception as error:  # its exceptions have no base but this one
            if "llocat" in str(error):  # "bad allocation", "Failed to allocate memory for requested buffer"
                raise MemoryError(first_line(error)) from error
            raise Problem("ONNX Runtime fails: {}; export the model again".format(first_line(error))) from error
        self.runs += 1
        return {name: array[0] for name, array in zip(self.names, arrays)}

    def operators(self):
        """See `backend`; it ends the profile, so it can be asked once."""
        if not self.traced or not self.runs:
            return []
        return operator_rows(json.loads(Path(self.session.end_profiling()).read_text(encoding="utf-8")), self.runs)


def loaded(artifact, target, threads, traces):
    """A session on the artifact's first provider that is present."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # a plan of all buffers holds as much again, and is no faster
    if threads is not None:
        options.intra_op_num_threads = threads
    if traces is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(traces / "operators")
    present = onnxruntime.get_available_providers()
    if target == "qnn":
        if QNN not in present:
            text = "onnxruntime {} has no QNN provider; install a build with it"
            raise Problem(text.format(onnxruntime.__version__))
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        providers = [(QNN, QNN_OPTIONS)]
    else:
        asked = (artifact["recipe"].get("onnx") or {}).get("providers", ["cpu"])
        wanted = [PROVIDERS[name] for name in [*asked, "cpu"] if PROVIDERS.get(name) in present]
        providers = list(dict.fromkeys(wanted))
    try:
        return onnxruntime.InferenceSession(str(artifact["path"]), options, providers=providers)
    except Exception as error:
        text = "ONNX Runtime {} does not load the model: {}; export it for this version"
        raise Problem(text.format(onnxruntime.__version__, first_line(error))) from error


def operator_rows(events, runs):
    """Kinds of operators with milliseconds and number of one run, from the runtime's own trace; slowest first."""
    times, counts = defaultdict(float), defaultdict(int)
    for event in events:
        kind = event.get("args", {}).get("op_name")
        if event.get("cat") == "Node" and kind and event["name"].endswith("_kernel_time"):
            times[kind] += event["dur"] / 1000
            counts[kind] += 1
    rows = [{"kind": kind, "time_ms": times[kind] / runs, "count": round(counts[kind] / runs)} for kind in times]
    return sorted(rows, key=lambda row: -row["time_ms"])
