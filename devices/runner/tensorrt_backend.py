"""TensorRT on a Jetson: the engine is built here once, by the artifact's own scripts, and run by TensorRT's Python API.

Tensors have names in that API from TensorRT 8.5 (JetPack 5.1) on, so that one way serves 8.5 and 10. Memory on the GPU
comes from CUDA's runtime library, which JetPack has, so that neither PyTorch nor PyCUDA is needed. The engine is kept
beside the bundle's folder, in <name>.engines. Not verified on a device.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from backend import library_versions
from bundle import feeds_of
from problem import Problem

CUDA_RUNTIMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind in driver_types.h


class TensorRtBackend:
    """See `backend`."""

    def __init__(self, folder, artifact, *, profile_operators):
        import tensorrt

        self.artifact, self.size, self.steers = artifact, artifact["size"], artifact["steers"]
        path, self.build_ms = engine_of(folder)
        self.cuda = Cuda()
        start = time.perf_counter()
        self.log = make_log(tensorrt)
        self.runtime_library = tensorrt.Runtime(self.log)  # the engine needs it as long as it lives
        self.engine = self.runtime_library.deserialize_cuda_engine(Path(path).read_bytes())
        self.context = None if self.engine is None else self.engine.create_execution_context()
        if self.context is None:
            raise Problem("TensorRT does not load the engine: {}; free some memory".format(self.log.said()))
        self.load_ms = 1000 * (time.perf_counter() - start)
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        self.outputs = [name for name in names if self.engine.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT]
        self.times = make_times(tensorrt) if profile_operators else None
        if self.times is not None:
            self.context.profiler = self.times
        self.runtime = {"name": "tensorrt", "version": tensorrt.__version__, "provider": "GPU", "threads": None}
        self.versions = library_versions(tensorrt=tensorrt.__version__, cuda=self.cuda.version())

    def run(self, image, gates=None):
        """See `backend`."""
        given = feeds_of(self.artifact, image, gates)
        if not all(self.context.set_input_shape(name, array.shape) for name, array in given.items()):
            height, width = image.shape[1:]
            raise Problem("the engine does not serve {}x{}; export with sizes that hold it".format(width, height))
        results = {name: np.empty(tuple(self.context.get_tensor_shape(name)), np.float32) for name in self.outputs}
        for name, array in [*given.items(), *results.items()]:
            self.context.set_tensor_address(name, self.cuda.room(name, array.nbytes))
        for name, array in given.items():
            self.cuda.copy(self.cuda.room(name, array.nbytes), array.ctypes.data, array.nbytes, TO_DEVICE)
        if not self.context.execute_async_v3(self.cuda.stream):
            raise Problem("the engine fails: {}; remove <name>.engines to build it again".format(self.log.said()))
        for name, array in results.items():
            self.cuda.copy(array.ctypes.data, self.cuda.room(name, array.nbytes), array.nbytes, TO_HOST)
        self.cuda.wait()
        return {name: array[0] for name, array in results.items()}

    def operators(self):
        """See `backend`; layers of the last run, as the engine calls them."""
        return [] if self.times is None else self.times.rows()


def engine_of(folder):
    """(path, milliseconds of building or None): what the artifact's build.py makes, or made before, for this GPU."""
    artifact, cache = folder.resolve() / "artifact", folder.resolve().with_name(folder.resolve().name + ".engines")
    script = artifact / "build.py"
    if not script.is_file():
        raise Problem("the artifact brings no build.py; export it with tensorrt.deliver: onnx")
    command = [sys.executable, "-B", str(script), "--folder", str(artifact), "--cache", str(cache)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # what it says for people goes to stderr
    return parsed_build(ended.stdout.decode("utf-8", "replace"), ended.returncode)


def parsed_build(said, code):
    """(path, milliseconds of building or None) from the line of JSON that build.py prints."""
    try:
        result = json.loads(said.strip().splitlines()[-1])
        if code == 0:
            return result["engine"], 1000 * result["seconds"] if result["status"] == "built" else None
        reason = result["reason"]
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise Problem("build.py ended with {} and no result ({!r}); run it alone".format(code, error)) from error
    raise Problem("no engine: {}".format(reason), code if code in (2, 3) else 2)


class Cuda:
    """CUDA's runtime library: memory that grows with the largest picture, one stream, and copies on it."""

    def __init__(self):
        self.library = load_cuda()
        self.rooms = {}
        stream = ctypes.c_void_p()
        self.call("cudaStreamCreate", ctypes.byref(stream))
        self.stream = stream.value

    def room(self, name, size_bytes):
        """Address of memory for a tensor; what is there already is kept if it is large enough."""
        address, have = self.rooms.get(name, (None, 0))
        if have < size_bytes:
            if address is not None:
                self.call("cudaFree", ctypes.c_void_p(address))
            pointer = ctypes.c_void_p()
            self.call("cudaMalloc", ctypes.byref(pointer), ctypes.c_size_t(size_bytes))
            address = pointer.value
            self.rooms[name] = (address, size_bytes)
        return address

    def copy(self, to, source, size_bytes, kind):
        """Copy in the order of the stream."""
        arguments = (ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size_bytes), ctypes.c_int(kind))
        self.call("cudaMemcpyAsync", *arguments, ctypes.c_void_p(self.stream))

    def wait(self):
        """Until everything on the stream is done."""
        self.call("cudaStreamSynchronize", ctypes.c_void_p(self.stream))

    def version(self):
        """As in "12.6"."""
        number = ctypes.c_int()
        self.call("cudaRuntimeGetVersion", ctypes.byref(number))
        return "{}.{}".format(number.value // 1000, number.value % 1000 // 10)

    def call(self, function, *arguments):
        """A function of the library; Problem, or MemoryError, where it fails."""
        failed = getattr(self.library, function)(*arguments)
        if failed == 2:  # cudaErrorMemoryAllocation
            raise MemoryError("{}: no memory on the GPU".format(function))
        if failed:
            raise Problem("{} fails with CUDA error {}; restart the device".format(function, failed))


def load_cuda():
    """The library, under one of its names."""
    for name in CUDA_RUNTIMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    text = "CUDA's runtime library does not load ({}); it comes with JetPack: sudo apt install cuda-cudart-12-6"
    raise Problem(text.format(", ".join(CUDA_RUNTIMES)))


def make_log(trt):
    """A logger that keeps warnings and errors and prints nothing."""

    class Log(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.messages = []

        def log(self, severity, msg):
            if int(severity) <= int(trt.ILogger.Severity.WARNING):
                self.messages.append(msg)

        def said(self):
            return "; ".join(self.messages[-3:]) or "no reason given"

    return Log()


def make_times(trt):
    """A profiler that adds up the time of every layer."""

    class Times(trt.IProfiler):
        def __init__(self):
            trt.IProfiler.__init__(self)
            self.layers = {}

        def report_layer_time(self, layer_name, ms):
            total, count = self.layers.get(layer_name, (0.0, 0))
            self.layers[layer_name] = (total + ms, count + 1)

        def rows(self):
            means = {name: total / count for name, (total, count) in self.layers.items()}
            slowest = sorted(means, key=means.get, reverse=True)
            return [{"kind": name, "time_ms": means[name], "count": 1} for name in slowest]

    return Times()
