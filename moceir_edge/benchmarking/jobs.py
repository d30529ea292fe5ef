"""What a process needs to run one variant, as a file that another process can read."""

from __future__ import annotations

from enum import StrEnum

from moceir_edge.benchmarking.variants import Variant
from moceir_edge.records import Record


class Library(StrEnum):
    """What runs a file."""

    PYTORCH = "pytorch"
    PYTORCH_COMPILED = "pytorch-compiled"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class Job(Record):
    """A variant that was built.

    file: what is loaded; size: (height, width); picture: .npy (3, H, W) float32 that is restored;
    precision_hint: what OpenVINO may compute in, None for its own choice; size_bytes: of the file with its weights;
    integer: convolutions of the program that run in int8, None where that is not ours to say.
    """

    variant: Variant
    library: Library
    file: str
    picture: str
    threads: int
    size: tuple[int, int]
    size_bytes: int
    precision_hint: str | None = None
    integer_share: float | None = None
    integer: tuple[str, ...] | None = None
