"""A program: named operations on named values, in running order, without control flow.

Values are float32 tensors of batch 1. `like` inputs give a height and width only. The operations:

kind          inputs           attributes           result
input                                               the picture (1, 3, H, W), or gates (1, L, E)
conv          x                groups               constants weight (O, I/groups, k, k), bias (O) or none; same size;
                                                    scale (O, 1, 1, 1) where the weight is stored in 8-bit steps
matmul        a, b                                  batched product; either side may be the constant `left` or `right`
add sub mul div  a, b                               with broadcasting; b may be the constant `right`
sqrt gelu sigmoid  x                                element by element (gelu by erf)
floor         x                value                max(x, value)
maximum at_least  a, b                              the larger; 1 where a >= b, else 0
norm          x                epsilon              layer normalization over channels, constants weight, bias (C)
mean          x                axes                 keeps the axes as length 1
energy        x                axes                 sum of squares, keeps the axes as length 1
softmax       x                axis
concat        x, y, ...        axis
slice         x                axis, start, stop
transpose     x                                     last two axes
heads         x                heads                (1, C, H, W) -> (1, heads, C/heads, H W)
pixels        x, like          channels             back to (1, C, H, W)
windows       x                window               padded with zeros -> (C, rows columns, p, p)
unwindows     x, like          window               back to (1, C, H, W), cropped
unshuffle shuffle  x                                by 2, in PyTorch's channel order
reshape       x                shape                a fixed shape
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE, GATES = "image", "gates"
RESTORED, AGREEMENT, SCORES, CHOSEN = "restored", "agreement", "scores", "chosen"

Constant = NDArray[np.float32]


class Kind(StrEnum):
    """What an operation does; see the table above."""

    INPUT = "input"
    CONV = "conv"
    MATMUL = "matmul"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    SQRT = "sqrt"
    GELU = "gelu"
    SIGMOID = "sigmoid"
    FLOOR = "floor"
    MAXIMUM = "maximum"
    AT_LEAST = "at_least"
    NORM = "norm"
    MEAN = "mean"
    ENERGY = "energy"
    SOFTMAX = "softmax"
    CONCAT = "concat"
    SLICE = "slice"
    TRANSPOSE = "transpose"
    HEADS = "heads"
    PIXELS = "pixels"
    WINDOWS = "windows"
    UNWINDOWS = "unwindows"
    UNSHUFFLE = "unshuffle"
    SHUFFLE = "shuffle"
    RESHAPE = "reshape"


REDUCTIONS = frozenset({Kind.CONV, Kind.MATMUL, Kind.MEAN, Kind.ENERGY})
"""Operations that add products up, where float16 may overflow before the result is written."""


@dataclass(frozen=True)
class Operation:
    """One operation; its name is also the name of the value it gives.

    exact: stays in float32 when the rest of the program runs in float16 (a float32 island).
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    constants: Mapping[str, Constant] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    exact: bool = False


@dataclass(frozen=True)
class Program:
    """Operations in running order; `outputs` maps the artifact's output names to values.

    layers: names of the routed layers; experts: how many the full model has in each.
    """

    operations: tuple[Operation, ...]
    outputs: Mapping[str, str]
    layers: tuple[str, ...]
    experts: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(op.name for op in self.operations if op.kind is Kind.INPUT)

    @property
    def islands(self) -> tuple[str, ...]:
        """Names of the operations that stay in float32."""
        return tuple(op.name for op in self.operations if op.exact)


class Builder:
    """Collects operations under unique names; every method returns the name of its value."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._names: set[str] = set()

    def add(
        self,
        kind: Kind,
        name: str,
        *inputs: str,
        constants: Mapping[str, Any] | None = None,
        exact: bool = False,
        **attributes: Any,
    ) -> str:
        """Append an operation; a name that is taken gets a number."""
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}_{number}", number + 1
        self._names.add(unique)
        arrays = {key: np.asarray(array, np.float32) for key, array in (constants or {}).items() if array is not None}
        self.operations.append(Operation(unique, kind, inputs, arrays, attributes, exact))
        return unique
