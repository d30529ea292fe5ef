"""The releases of JetPack: what TensorRT each brings, and what that reads.

Versions: developer.nvidia.com/embedded/jetpack-sdk-51 (5.1); a device's own report for 6.0 (R36.3.0, TensorRT 8.6.2.3);
docs.pytorch.org/TensorRT, "Torch-TensorRT in JetPack" (6.1, 6.2); nvidia.github.io/TensorRT-Edge-LLM, "Official Support
Matrix" (7.x: CUDA, boards, no FP8 on Orin), whose IGX Thor has TensorRT 10.13. That 7.2 brings 10.16 has no address:
users say so, and no page of NVIDIA's was found; only its being later than 10.13 decides anything here.
Python is that of Ubuntu 20.04, 22.04 and 24.04. Compute capabilities: jetson_containers/l4t_version.py of
github.com/dusty-nv/jetson-containers (7.2 Xavier, 8.7 Orin); 11.0 Thor.
Opsets and operators: docs/operators.md and docs/Changelog.md of github.com/onnx/onnx-tensorrt (LayerNormalization from
8.6, FP8 from 9.0). TensorRT 11 takes JetPack from 7.2.2 on
(docs.nvidia.com/deeplearning/tensorrt/11.4.1, "Migrating TensorRT from 10.x to 11.x on Jetson/JetPack").
"""

from __future__ import annotations

from collections.abc import Mapping

from moceir_edge.records import Record

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"

TENSORRT_8_OPERATORS = frozenset(
    {"Add", "Cast", "Concat", "Conv", "DepthToSpace", QUANTIZE, DEQUANTIZE, "Div", "Erf", "GlobalAveragePool"}
    | {"GreaterOrEqual", "MatMul", "Max", "Mul", "Pad", "ReduceMean", "ReduceSum", "Reshape", "Shape", "Sigmoid"}
    | {"Slice", "Softmax", "Sqrt", "Sub", "Transpose"}
)
"""Those of our operators that JetPack 5 reads: docs/operators.md of github.com/onnx/onnx-tensorrt, release/8.5-GA.
That table lists LayerNormalization as missing, and knows neither Gelu nor any opset above 17."""

LAYER_NORM = "LayerNormalization"

TENSORRT_8_OPSET = 17
"""The newest that TensorRT 8 reads; a graph of it is written for TensorRT 8 as well."""

STRONG_TYPING = (9, 0)
"""The first TensorRT that can keep the types of the file; the scripts ask the library itself, by its flag's name."""

FP8_CAPABILITY = 8.9
"""docs.nvidia.com/deeplearning/tensorrt-rtx, "Support Matrix": FP8 on Ada (8.9) and Blackwell, not on Ampere."""


class Release(Record):
    """A release for Jetson: its TensorRT, CUDA and Python, the GPUs it serves, and what its parser reads.

    opset: the newest. strongly_typed: the network keeps the types of the file. layer_norm: as one layer. fp8: as a
    type; a GPU has it from compute capability 8.9 on, so Orin (8.7) does not.
    """

    jetpack: str
    tensorrt: str
    cuda: str
    python: str
    compute_capabilities: tuple[str, ...]
    opset: int
    strongly_typed: bool
    layer_norm: bool
    fp8: bool


def _release(jetpack: str, versions: tuple[str, str, str], gpus: tuple[str, ...], opset: int) -> Release:
    """versions: of TensorRT, CUDA and Python."""
    tensorrt, cuda, python = versions
    version = tuple(int(part) for part in tensorrt.split(".")[:2])
    return Release(
        jetpack=jetpack,
        tensorrt=tensorrt,
        cuda=cuda,
        python=python,
        compute_capabilities=gpus,
        opset=opset,
        strongly_typed=version >= STRONG_TYPING,
        layer_norm=version >= (8, 6),
        fp8=version >= (9, 0),
    )


RELEASES = (
    _release("5.1", ("8.5.2", "11.4", "3.8"), ("7.2", "8.7"), 17),
    _release("6.0", ("8.6.2", "12.2", "3.10"), ("8.7",), 17),
    _release("6.1, 6.2", ("10.3", "12.6", "3.10"), ("8.7",), 20),
    _release("7.0, 7.1", ("10.13", "13.0", "3.12"), ("11.0",), 24),
    _release("7.2", ("10.16", "13.2", "3.12"), ("8.7", "11.0"), 24),
)
"""Oldest first."""


def lacking(release: Release, opset: int, operators: Mapping[str, int]) -> str | None:
    """Why a release does not read a graph of this opset with these operators, or None if it does."""
    if opset > release.opset:
        return f"it reads ONNX up to opset {release.opset}, not {opset}"
    known = TENSORRT_8_OPERATORS | ({LAYER_NORM} if release.layer_norm else set())
    missing = sorted(operators.keys() - known)
    if missing and not release.strongly_typed:
        return f"its parser has no {', '.join(missing)}"
    return None


def reading(opset: int, operators: Mapping[str, int], *, fp8: bool = False) -> tuple[Release, ...]:
    """The releases that read a graph of this opset with these operators; fp8: and have a GPU that computes in it."""
    readers = (row for row in RELEASES if lacking(row, opset, operators) is None)
    return tuple(row for row in readers if not fp8 or (row.fp8 and any(map(has_fp8, row.compute_capabilities))))


def has_fp8(compute_capability: str) -> bool:
    """Whether a GPU computes in FP8: Ada and later."""
    return float(compute_capability) >= FP8_CAPABILITY


def needs(opset: int, operators: Mapping[str, int], *, fp8: bool = False) -> tuple[str, ...]:
    """What a graph asks of a release, in words."""
    extra = sorted(operators.keys() - TENSORRT_8_OPERATORS)
    numbers = (f"a GPU with FP8 (compute capability {FP8_CAPABILITY} or later)",) if fp8 else ()
    return (f"ONNX opset {opset}", *(f"the operator {name}" for name in extra), *numbers)


def releases_table() -> str:
    """The releases as a Markdown table."""
    head = (
        "JetPack",
        "TensorRT",
        "CUDA",
        "Python",
        "GPUs",
        "ONNX opset",
        "strongly typed",
        "LayerNormalization",
        "FP8",
    )

    def cells(row: Release) -> tuple[str, ...]:
        flags = ("yes" if flag else "no" for flag in (row.strongly_typed, row.layer_norm, row.fp8))
        gpus = ", ".join(row.compute_capabilities)
        return (row.jetpack, row.tensorrt, row.cuda, row.python, gpus, str(row.opset), *flags)

    lines = [head, tuple("---" for _ in head), *map(cells, RELEASES)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
