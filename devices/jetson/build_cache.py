"""The cache of build.py: engines by everything they depend on, and how long kernels took on this machine.

An engine runs only on the TensorRT, CUDA, GPU and driver that built it, so each has a note beside it; one whose note
says something else, or whose bytes are not those of the note, is refused with the reason. What TensorRT measured while
it built (its timing cache) holds for every model on the same machine, so later builds are shorter.
Python 3.8 and later.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
from pathlib import Path

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR, MULTIPROCESSORS = 75, 76, 16  # CUdevice_attribute in cuda.h
CUDA_RUNTIMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
DRIVER_NOTES = (Path("/etc/nv_tegra_release"), Path("/proc/driver/nvidia/version"))
BOARD_NOTE = Path("/proc/device-tree/model")


class Problem(Exception):  # noqa: N818 (an outcome to report, not a programming error)
    """Something that ends the build, with the exit code it asks for."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


def sha256(data):
    """Hash of bytes."""
    return hashlib.sha256(data).hexdigest()


def integer_from(library, function, *arguments):
    """The int that a CUDA function writes into its first argument, None where it fails."""
    value = ctypes.c_int()
    failed = getattr(library, function)(ctypes.byref(value), *arguments)
    return None if failed else value.value


def shared_library(*names):
    """The first shared library that loads, or None."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def gpu_name(driver):
    """Name and size of the first GPU, as in "Orin, 16 multiprocessors"; None where the driver does not say.

    GPUs of one compute capability differ in their size, and those of different boards may share a name.
    """
    text, size = ctypes.create_string_buffer(256), integer_from(driver, "cuDeviceGetAttribute", MULTIPROCESSORS, 0)
    if driver.cuDeviceGetName(text, len(text), 0) != 0:
        return None
    return "{}, {} multiprocessors".format(text.value.decode("utf-8", "replace"), size)


def board_name():
    """The board as its device tree names it, None on a machine that has none."""
    return BOARD_NOTE.read_text(encoding="utf-8").strip("\0\n ") if BOARD_NOTE.is_file() else None


def machine():
    """CUDA, GPU and driver of the first GPU, and its board; None for what cannot be asked."""
    found = {"cuda": None, "compute_capability": None, "gpu": None, "board": board_name(), "driver": None}
    runtime = shared_library(*CUDA_RUNTIMES)
    if runtime is not None:
        found["cuda"] = integer_from(runtime, "cudaRuntimeGetVersion")
    driver = shared_library("libcuda.so.1")
    if driver is None or driver.cuInit(0) != 0:
        return found
    major = integer_from(driver, "cuDeviceGetAttribute", COMPUTE_CAPABILITY_MAJOR, 0)
    minor = integer_from(driver, "cuDeviceGetAttribute", COMPUTE_CAPABILITY_MINOR, 0)
    found["compute_capability"] = None if major is None else "{}.{}".format(major, minor)
    found["gpu"] = gpu_name(driver)
    notes = [path.read_text(encoding="utf-8").splitlines()[0].strip() for path in DRIVER_NOTES if path.is_file()]
    found["driver"] = " | ".join([str(integer_from(driver, "cuDriverGetVersion")), *notes])
    return found


def engine_key(trt, recipe):
    """Everything an engine depends on; it is reused only if all of it is equal."""
    flags = json.dumps(recipe["flags"], sort_keys=True, separators=(",", ":"))
    return dict(
        machine(),
        model=recipe["model_sha256"],
        tensorrt=trt.__version__,
        flags=sha256(flags.encode()),
    )


def engine_path(cache, key):
    """Where the engine of a key lies."""
    return cache / "{}.engine".format(sha256(json.dumps(key, sort_keys=True).encode())[:16])


def timing_path(cache, key):
    """Where the timing cache of this machine lies: of all of a key but the model and the flags."""
    here = {name: value for name, value in key.items() if name not in ("model", "flags")}
    return cache / "timing-{}.cache".format(sha256(json.dumps(here, sort_keys=True).encode())[:16])


def refusal(path, key):
    """Why an engine in the cache is not used, or None if it is this device's own."""
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        built, digest = note["key"], note["sha256"]
    except (OSError, ValueError, KeyError):
        return "nobody knows what it was built for"
    other = ["{} {}, here {}".format(name, built.get(name), key[name]) for name in key if built.get(name) != key[name]]
    if other:
        return "built for " + "; ".join(other)
    return None if sha256(path.read_bytes()) == digest else "it was altered (its sha256 differs)"


def find_engine(cache, key):
    """The engine of this device or None, and why each of the others is refused."""
    found = {path: refusal(path, key) for path in sorted(cache.glob("*.engine"))}
    own = [path for path, reason in found.items() if reason is None]
    refused = {path.name: reason for path, reason in found.items() if reason is not None}
    return (own[0] if own else None), refused


def replace(path, data):
    """Write a file that appears only when whole; Problem where the system does not let it, e.g. on a full disk."""
    temporary = path.with_name(".{}.{}".format(path.name, os.getpid()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the reason why it could not be written is what counts
            temporary.unlink()
        reason = error.strerror or str(error)
        size = "{:.0f} MiB".format(len(data) / 2**20) if len(data) >= 2**20 else "{} bytes".format(len(data))
        raise Problem("{} cannot be written ({}): it takes {}".format(path, reason, size), 2) from error


def require_writable(cache):
    """Problem where the cache takes no files: said before minutes of building."""
    probe = cache / ".probe"
    replace(probe, b"")
    probe.unlink()


def write_json(path, value):
    """Write a value as a JSON file."""
    replace(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def keep_engine(path, engine, key):
    """Write an engine, then the note that makes it usable."""
    replace(path, engine)
    write_json(path.with_suffix(".json"), {"key": key, "sha256": sha256(engine)})
