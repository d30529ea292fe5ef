"""The cache of build.py: engines by everything they depend on.

An engine runs only on the TensorRT, CUDA, GPU and driver that built it, so each has a note beside it; one whose note
says something else, or whose bytes are not those of the note, is refused with the reason. Python 3.8 and later.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from pathlib import Path

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute in cuda.h
CUDA_RUNTIMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
DRIVER_NOTES = (Path("/etc/nv_tegra_release"), Path("/proc/driver/nvidia/version"))


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


def machine():
    """CUDA, compute capability and driver of the first GPU; None for what cannot be asked."""
    found = {"cuda": None, "compute_capability": None, "driver": None}
    runtime = shared_library(*CUDA_RUNTIMES)
    if runtime is not None:
        found["cuda"] = integer_from(runtime, "cudaRuntimeGetVersion")
    driver = shared_library("libcuda.so.1")
    if driver is None or driver.cuInit(0) != 0:
        return found
    major = integer_from(driver, "cuDeviceGetAttribute", COMPUTE_CAPABILITY_MAJOR, 0)
    minor = integer_from(driver, "cuDeviceGetAttribute", COMPUTE_CAPABILITY_MINOR, 0)
    found["compute_capability"] = None if major is None else "{}.{}".format(major, minor)
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
    """Write a file that appears only when whole."""
    temporary = path.with_name(".{}.{}".format(path.name, os.getpid()))
    temporary.write_bytes(data)
    temporary.replace(path)


def keep_engine(path, engine, key):
    """Write an engine, then the note that makes it usable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, engine)
    note = {"key": key, "sha256": sha256(engine)}
    replace(path.with_suffix(".json"), (json.dumps(note, indent=1, sort_keys=True) + "\n").encode())
