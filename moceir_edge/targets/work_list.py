"""What an artifact computes for one picture, by group of operators: multiplications, number formats, weights.

It lies beside the model, so that a device's time can be bounded where the device is not. Every operator of the network
does a fixed amount, and one for each cell of a grid over the picture: for each 8x8 pixels, or for each window of a
transform, whose last ones are padded. So the multiplications of any size follow exactly from a few numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from math import isqrt
from typing import Annotated, NamedTuple

from pydantic import Field

from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Operation, Program
from moceir_edge.program.work import Work, label_of, work_of
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record
from moceir_edge.terms import SIZE_MULTIPLE, Precision, TargetName

WORK_FILE = "work.json"

BYTES = {Precision.FLOAT32: 4, Precision.FLOAT16: 2, Precision.BFLOAT16: 2, Precision.INT8: 1, Precision.FP8: 1}
"""Bytes of a number."""

_LARGE = 512
"""A side that the cells of every transform divide: 32 pixels on the level that is 8 times smaller make 256."""


class Cells(Record):
    """MACs in every started cell of `side` x `side` pixels."""

    side: Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)]
    macs: int


class OperatorGroup(Record):
    """Operators of one kind in one precision.

    kernel: side of the convolutions' kernel, 1 for products. operators: how many. weights: their numbers in all.
    fixed_macs: whatever the size; cells: the rest.
    """

    kind: str
    work: Work
    kernel: int
    precision: Precision
    operators: int
    weights: int
    fixed_macs: int
    cells: tuple[Cells, ...]

    def macs(self, height: int, width: int) -> int:
        """For a picture whose sides are multiples of 8."""
        return self.fixed_macs + sum(
            cell.macs * -(-height // cell.side) * -(-width // cell.side) for cell in self.cells
        )


class WorkList(Record):
    """The work of an artifact; bytes_per_pixel: of the picture as the caller gives it and as the caller gets it."""

    groups: tuple[OperatorGroup, ...]
    bytes_per_pixel: int

    def macs(self, height: int, width: int) -> int:
        """Of all groups."""
        return sum(group.macs(height, width) for group in self.groups)

    @property
    def weight_bytes(self) -> int:
        """In the formats in which they are multiplied."""
        return sum(group.weights * BYTES[group.precision] for group in self.groups)


def work_list(program: Program, recipe: Recipe, integer: Collection[str] = ()) -> WorkList:
    """The work of a prepared program; integer: the convolutions that the precision plan puts into 8 bits."""
    by_size = _Counts(
        macs_by_operation(program, SIZE_MULTIPLE, SIZE_MULTIPLE),
        macs_by_operation(program, _LARGE, _LARGE),
        macs_by_operation(program, 2 * _LARGE, 2 * _LARGE),
    )
    found: dict[tuple[str, Precision], list[Operation]] = defaultdict(list)
    for op in program.operations:
        if work_of(op) is not None:
            found[label_of(op), precision_of(op, recipe, integer)].append(op)
    groups = tuple(_group(kind, precision, ops, by_size) for (kind, precision), ops in found.items())
    return WorkList(groups=groups, bytes_per_pixel=2 * 3 * (1 if _eight_bits_outside(recipe) else 4))


def precision_of(op: Operation, recipe: Recipe, integer: Collection[str]) -> Precision:
    """The format in which an operation multiplies."""
    if op.name in integer:
        return recipe.precision
    return Precision.FLOAT32 if op.exact and recipe.half else recipe.floats


def _eight_bits_outside(recipe: Recipe) -> bool:
    return recipe.target is TargetName.COREML and recipe.coreml_options.interface == "image"


class _Counts(NamedTuple):
    """MACs by operation: of the smallest picture, of a square of `_LARGE`, and of one with twice the side."""

    least: Mapping[str, int]
    large: Mapping[str, int]
    double: Mapping[str, int]

    def of(self, name: str) -> tuple[int, Cells | None]:
        """The fixed part of an operation, and its cells."""
        fixed = (4 * self.large[name] - self.double[name]) // 3
        if self.double[name] == self.large[name]:
            return fixed, None
        in_a_cell, in_large = self.least[name] - fixed, self.large[name] - fixed
        side = isqrt(_LARGE**2 * in_a_cell // in_large)
        assert in_a_cell * _LARGE**2 == in_large * side**2, f"{name} has no cells that divide {_LARGE} pixels"
        return fixed, Cells(side=side, macs=in_a_cell)


def _group(kind: str, precision: Precision, ops: list[Operation], by_size: _Counts) -> OperatorGroup:
    parts = [by_size.of(op.name) for op in ops]
    work = work_of(ops[0])
    assert work is not None
    return OperatorGroup(
        kind=kind,
        work=work,
        kernel=1 if work is Work.MATMUL else ops[0].constants["weight"].shape[-1],
        precision=precision,
        operators=len(ops),
        weights=sum(array.size for op in ops for array in op.constants.values()),
        fixed_macs=sum(fixed for fixed, _ in parts),
        cells=_added(cells for _, cells in parts if cells is not None),
    )


def _added(cells: Iterable[Cells]) -> tuple[Cells, ...]:
    """One of each side."""
    sums: dict[int, int] = defaultdict(int)
    for cell in cells:
        sums[cell.side] += cell.macs
    return tuple(Cells(side=side, macs=macs) for side, macs in sorted(sums.items()))
