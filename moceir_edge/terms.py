"""The closed words of the project, one meaning each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from moceir_edge.errors import InputError

Item = TypeVar("Item")

SIZE_MULTIPLE = 8
"""The network halves three times, so heights and widths are multiples of 8."""


class Task(StrEnum):
    """A degradation the network removes; the three noise levels are tasks of their own."""

    DENOISE_15 = "denoise_15"
    DENOISE_25 = "denoise_25"
    DENOISE_50 = "denoise_50"
    DERAIN = "derain"
    DEHAZE = "dehaze"
    DEBLUR = "deblur"
    LOWLIGHT = "lowlight"
    DESNOW = "desnow"


DENOISE = "denoise"
"""Stands for the three noise levels together."""

NOISE_SIGMA = {Task.DENOISE_15: 15, Task.DENOISE_25: 25, Task.DENOISE_50: 50}
"""Standard deviation of the noise of a task, in 8-bit steps."""

TASK_NAMES = (*(task.value for task in Task), DENOISE)


class Precision(StrEnum):
    """The number format in which most of an artifact's arithmetic runs."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
    FP8 = "fp8"

    @property
    def in_8_bits(self) -> bool:
        """Whether a plan says which convolutions are quantized, and the others stay in float32."""
        return self in (Precision.INT8, Precision.FP8)


class GateMode(StrEnum):
    """How a slim model weighs its expert: the router's own score, or its mean folded into proj_out."""

    EXACT = "exact"
    FOLDED = "folded"


class TargetName(StrEnum):
    """A runtime an artifact is written for."""

    ONNX = "onnx"
    TENSORRT = "tensorrt"
    COREML = "coreml"
    OPENVINO = "openvino"
    BROWSER = "browser"
    QNN = "qnn"


class GateState(StrEnum):
    """The outcome of a gate; `not_run` means that nothing here could decide it."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


class Progress(Protocol):
    """Shows how far a loop has come: `for item in progress(items, "observing"): ...`."""

    def __call__(self, items: Sequence[Item], label: str, /) -> Iterator[Item]: ...


def silent(items: Sequence[Item], label: str, /) -> Iterator[Item]:
    """Progress that shows nothing."""
    del label
    yield from items


def tasks_from_names(names: Iterable[str]) -> tuple[Task, ...]:
    """Tasks in the order of `Task`, with `denoise` spelled out; an unknown name is an InputError."""
    wanted: set[Task] = set()
    for name in names:
        if name == DENOISE:
            wanted.update(NOISE_SIGMA)
        elif name in TASK_NAMES:
            wanted.add(Task(name))
        else:
            raise InputError(f"unknown task '{name}'", f"use one of {', '.join(TASK_NAMES)}")
    return tuple(task for task in Task if task in wanted)


def size_from_text(text: str) -> tuple[int, int]:
    """(height, width) from width x height, as in "640x480", in which every size is printed; else InputError."""
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    if found is None:
        raise InputError(f"'{text}' is no size", "give width x height, as in 640x480")
    return int(found[2]), int(found[1])
