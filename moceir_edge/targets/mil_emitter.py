"""The values of a MIL function while it is written: their names, number formats and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moceir_edge.compress.ranges import Ranges
from moceir_edge.program.program import Operation

Value = Any
"""A value of MIL (coremltools' Var)."""

Array = NDArray[np.floating]
Shape = tuple[int, ...]


class Emitter:
    """Results so far in `values`, each in the format it was computed in; `mb` is coremltools' builder.

    half: float16 outside the islands. ios: the version that it is written for.
    integer: convolutions in 8-bit integers; `steps` of values by name, `stepped`: values that were put on them.
    convolutions: their own results.
    """

    def __init__(
        self,
        mb: Any,
        sizes: Mapping[str, Shape],
        inputs: Mapping[str, Value],
        *,
        half: bool,
        ios: int,
        integer: Mapping[str, Ranges],
    ) -> None:
        self.mb, self.sizes, self.half, self.ios = mb, sizes, half, ios
        self.values: dict[str, Value] = dict(inputs)
        self.turned: dict[str, str] = {}
        self._names = set(inputs)
        self._casts: dict[tuple[str, str], Value] = {}
        self.integer = integer
        self.convolutions: dict[str, Value] = {}
        self.steps: dict[str, Any] = {}
        self.stepped: dict[tuple[str, Any], Value] = {}

    def name(self, wanted: str) -> str:
        """A name that Core ML takes, not given before."""
        plain = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        unique, number = plain, 2
        while unique in self._names:
            unique, number = f"{plain}_{number}", number + 1
        self._names.add(unique)
        return unique

    def format(self, op: Operation) -> str:
        """What an operation reads and gives, as MIL calls it."""
        return "fp16" if self.half and not op.exact else "fp32"

    def read(self, name: str, wanted: str) -> Value:
        """A value in the wanted format; one cast serves all who want it."""
        value = self.values[name]
        if _format_of(value) == wanted:
            return value
        if (name, wanted) not in self._casts:
            self._casts[name, wanted] = self.mb.cast(x=value, dtype=wanted, name=self.name(f"{name}.{wanted}"))
        return self._casts[name, wanted]

    def inputs(self, op: Operation) -> list[Value]:
        """All inputs, in the operation's format."""
        return [self.read(name, self.format(op)) for name in op.inputs]

    def first(self, op: Operation) -> Value:
        """The first input, in the operation's format."""
        return self.read(op.inputs[0], self.format(op))

    def constant(self, op: Operation, values: Array | float) -> Array:
        """A constant in the operation's format."""
        return np.asarray(values, np.float16 if self.format(op) == "fp16" else np.float32)

    def scalar(self, op: Operation, value: float) -> Any:
        """A number in the operation's format."""
        return self.constant(op, value)[()]

    def sides(self, op: Operation) -> tuple[Value, Value]:
        """Left and right operand; a constant gets the rank of the other side."""
        if len(op.inputs) == 2:
            left, right = self.inputs(op)
            return left, right
        x = self.first(op)
        if "left" in op.constants:
            return self._ranked(op, "left", x), x
        return x, self._ranked(op, "right", x)

    def _ranked(self, op: Operation, side: str, like: Value) -> Array:
        array = self.constant(op, op.constants[side])
        return array.reshape((1,) * (like.rank - array.ndim) + array.shape) if array.ndim else array


def _format_of(value: Value) -> str:
    from coremltools.converters.mil.mil import types

    return str(types.builtin_to_string(value.dtype))
