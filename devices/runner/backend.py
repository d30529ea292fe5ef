"""What computes: the runtime of the artifact's target, as one kind of object.

size: (height, width) that it serves, None for any multiple of 8; runtime: name, version, provider and threads;
versions: of every library that takes part; build_ms: of an engine that was built now, else None; load_ms;
run(image, gates=None): (3, H, W) float32 in [0, 1] to arrays by the output's name, without the batch; gates: the route,
where the artifact `steers` (gives `chosen` for them), which its routers decide without; operators(): rows with kind,
time_ms and count, of one run, where a folder for the runtime's `traces` was given; it is the caller's to remove.
"""

from __future__ import annotations

import platform

from bundle import inputs_of, read_artifact
from fitness import MODULES
from problem import Problem


def open_backend(folder, manifest, *, threads=None, traces=None):
    """The back end of an unpacked bundle; Problem where the runtime does not take the model."""
    artifact = read_artifact(folder)
    if "gates" in inputs_of(artifact) and not artifact["steers"]:
        raise Problem("the artifact leaves all routes to the caller; export it again")
    target = manifest["target"]
    if target in ("onnx", "qnn"):
        from onnx_backend import OnnxBackend

        return OnnxBackend(artifact, target, threads=threads, traces=traces)
    if target == "openvino":
        from openvino_backend import OpenVinoBackend

        return OpenVinoBackend(artifact, threads=threads, profile_operators=traces is not None)
    if target == "tensorrt":
        from tensorrt_backend import TensorRtBackend

        return TensorRtBackend(folder, artifact, profile_operators=traces is not None)
    known = ", ".join(MODULES)
    raise Problem(
        "this runner cannot run target {}; use the target's own runner, or export one of {}".format(target, known)
    )


def library_versions(**more):
    """Of Python and numpy, and of whatever else is given."""
    import numpy as np

    return dict({"python": platform.python_version(), "numpy": np.__version__}, **more)


def first_line(error):
    """What a library said, short."""
    said = str(error).strip() or repr(error)
    return said.splitlines()[0][:200]
