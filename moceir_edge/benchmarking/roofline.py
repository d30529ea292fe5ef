"""The least time a program could take here: each operation bound by its multiplications or by its bytes.

Bytes are counted at the bandwidth of main memory, and no operation is fused with its neighbour. What stays in cache, or
is fused, can be faster than its bound; the bound shows where time is lost, it is no law.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from moceir_edge.benchmarking.peaks import Peaks
from moceir_edge.program.execute import shapes
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Kind, Operation, Program
from moceir_edge.program.work import label_of, values_of, work_of
from moceir_edge.records import Record
from moceir_edge.terms import Precision


class KindBound(Record):
    """A kind of operation: its least time, and the part of it that is bound by bytes rather than multiplications."""

    kind: str
    bound_ms: float
    by_bytes_ms: float
    macs: int
    megabytes: float
    count: int


class Roofline(Record):
    """The least time of a program, by kind, longest first; name: which arithmetic it assumes."""

    name: str
    total_ms: float
    kinds: tuple[KindBound, ...]


def roofline(
    name: str, program: Program, size: tuple[int, int], peaks: Peaks, *, integer: Collection[str] = ()
) -> Roofline:
    """Bounds of a program at (height, width); integer: operations that read, weigh and write 8-bit numbers."""
    sizes, macs = shapes(program, *size), macs_by_operation(program, *size)
    rows: dict[str, list[tuple[float, float, int, int]]] = defaultdict(list)
    for op in program.operations:
        if op.kind is Kind.INPUT:
            continue
        precision = Precision.INT8 if op.name in integer else Precision.FLOAT32
        count = macs.get(op.name, 0)
        moved = values_of(op, sizes) * (1 if precision is Precision.INT8 else 4)
        rows[label_of(op)].append((_macs_ms(op, count, peaks, precision), _bytes_ms(moved, peaks), count, moved))
    kinds = sorted((_kind(label, found) for label, found in rows.items()), key=lambda kind: -kind.bound_ms)
    return Roofline(name=name, total_ms=sum(kind.bound_ms for kind in kinds), kinds=tuple(kinds))


def every_integer(program: Program) -> tuple[str, ...]:
    """What a quantizer at its defaults puts into integers: every convolution and matrix product."""
    return tuple(op.name for op in program.operations if work_of(op) is not None)


def _macs_ms(op: Operation, count: int, peaks: Peaks, precision: Precision) -> float:
    work = work_of(op)
    if work is None:
        return 0.0
    rate = peaks.rate(work, precision) or peaks.rate(work, Precision.FLOAT32)
    return count / rate * 1e3 if rate else 0.0


def _bytes_ms(moved: int, peaks: Peaks) -> float:
    return moved / (peaks.gigabytes_per_s * 1e9) * 1e3


def _kind(label: str, rows: list[tuple[float, float, int, int]]) -> KindBound:
    return KindBound(
        kind=label,
        bound_ms=sum(max(by_macs, by_bytes) for by_macs, by_bytes, _, _ in rows),
        by_bytes_ms=sum(by_bytes for by_macs, by_bytes, _, _ in rows if by_bytes > by_macs),
        macs=sum(count for _, _, count, _ in rows),
        megabytes=sum(moved for _, _, _, moved in rows) / 1e6,
        count=len(rows),
    )
