"""Whether this machine can build the model at all, said before TensorRT tries: its release, and a GPU.

build.json says which releases read the model (`expected`, oldest first) and what the model needs of them (`needs`).
Python 3.8 and later.
"""

from __future__ import annotations

from build_cache import Problem

FP8_CAPABILITY = (8, 9)


def version_of(text):
    """Major and minor number of a version."""
    return tuple(int(part) for part in text.split(".")[:2])


def builds_without_gpu(trt):
    """Whether this is TensorRT for RTX, which builds for GPUs that are not here and counts its versions from 1."""
    return hasattr(trt, "ComputeCapability")


def require_release(trt, recipe):
    """Problem where this TensorRT is older than every one that reads the model, with the JetPack that would do."""
    if builds_without_gpu(trt) or not recipe["expected"]:
        return
    oldest = recipe["expected"][0]
    if version_of(trt.__version__) < version_of(oldest["tensorrt"]):
        raise Problem(
            "TensorRT {} is here, and the model needs {}: TensorRT {} or later, which comes with JetPack {}".format(
                trt.__version__, " and ".join(recipe["needs"]), oldest["tensorrt"], oldest["jetpack"]
            ),
            2,
        )


def require_gpu(trt, key, recipe):
    """Problem where no GPU can be seen and TensorRT needs one to build, or the one here lacks FP8."""
    if key["compute_capability"] is None and not builds_without_gpu(trt):
        raise Problem(
            "no NVIDIA GPU can be seen (libcuda.so.1 finds none), and TensorRT builds on the GPU that runs the engine: "
            "run this on the device; in a container, with the NVIDIA runtime",
            2,
        )
    here = key["compute_capability"]
    if recipe["flags"]["precision"] == "fp8" and here is not None and version_of(here) < FP8_CAPABILITY:
        raise Problem(
            "this GPU (compute capability {}) does not compute in FP8, which needs 8.9 or later: "
            "export with precision int8 or float16".format(here),
            2,
        )
