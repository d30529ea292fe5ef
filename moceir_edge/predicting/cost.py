"""The model of cost: what no device can beat for one picture.

    time >= max( sum over groups of m(g) / peak(precision of g),  t / bandwidth )
    energy >= sum over groups of m(g) * pJ of a MAC(precision of g)  +  t * pJ of a byte

m: multiplications. A group's MACs, but a dense convolution with a kernel of k x k, k > 1, may do with fewer: minimal
filtering (Winograd; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016) computes m x m results
from (m + k - 1)^2 products, (m k / (m + k - 1))^2 times fewer. The largest tiles in use are 8 x 8: F(6x6, 3x3) of
ncnn, MNN and OpenCV, 5.06 times fewer. Larger ones lose too many digits. A depthwise convolution gains nothing:
its transforms, which no further channel shares, cost as many operations as they save.

t: bytes that have to come from and go to main memory: weights once, in the format in which they are multiplied or as
the file stores them, whichever is less; the picture in and out. Values between operators do not count: a runtime may
fuse operators, or keep values on the chip. A run that follows another may find up to `ON_CHIP_BYTES` of it all in the
caches, so only what is beyond counts.

Groups are added up, because operators wait for each other's results and a unit is taken to compute in one format at a
time; everything that is no multiplication is free. A group whose format has no known peak counts as nothing, and is
named: the sum is a bound all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from moceir_edge.predicting.rates import Rates
from moceir_edge.predicting.result import GroupBound, SizeBound
from moceir_edge.program.work import Work
from moceir_edge.records import Skipped
from moceir_edge.targets.work_list import OperatorGroup, WorkList

TILE = 8
"""Side of the largest Winograd tiles in use."""

ON_CHIP_BYTES = 160 * 2**20
"""More than the caches of any device in `devices/profiles` hold; the largest of a desktop CPU are 128 MB in the last
level and 16 in the one before (AMD Ryzen 9 7950X3D)."""


def winograd_gain(kernel: int) -> float:
    """How many times fewer products a dense convolution of kernel x kernel may need."""
    results = TILE - kernel + 1
    return 1.0 if kernel == 1 or results < 2 else max(1.0, (results * kernel / TILE) ** 2)


def least_macs(group: OperatorGroup, height: int, width: int) -> float:
    """m of a group."""
    gain = winograd_gain(group.kernel) if group.work is Work.DENSE else 1.0
    return group.macs(height, width) / gain


def bound(work: WorkList, size: tuple[int, int], rates: Rates, *, stored_bytes: int) -> SizeBound:
    """The bounds of a picture of (height, width), multiples of 8; stored_bytes: of the model's file."""
    groups = tuple(_group(group, size, rates) for group in work.groups)
    moved = min(work.weight_bytes, stored_bytes) + work.bytes_per_pixel * size[0] * size[1]
    beyond = max(0, moved - ON_CHIP_BYTES)
    macs_ms = _sum(group.latency_ms for group in groups)
    memory_ms = None if rates.bandwidth_gb_per_s is None else beyond / rates.bandwidth_gb_per_s / 1e6
    macs_mj = _sum(group.energy_mj for group in groups)
    memory_mj = None if rates.pj_per_byte is None else beyond * rates.pj_per_byte / 1e9
    times = [time for time in (macs_ms, memory_ms) if time]
    return SizeBound(
        size=size,
        macs=work.macs(*size),
        moved_bytes=moved,
        latency_ms=max(times, default=None),
        memory_ms=memory_ms,
        energy_mj=_sum(energy for energy in (macs_mj, memory_mj) if energy != 0),
        groups=tuple(sorted(groups, key=lambda group: -(group.latency_ms or 0))),
    )


def _group(group: OperatorGroup, size: tuple[int, int], rates: Rates) -> GroupBound:
    least, rate, energy_pj = least_macs(group, *size), rates.of(group.precision), rates.pj_per_mac.get(group.precision)
    return GroupBound(
        kind=group.kind,
        precision=group.precision,
        operators=group.operators,
        macs=group.macs(*size),
        least_macs=round(least),
        latency_ms=None if rate is None else least / rate.gmacs_per_s / 1e6,
        energy_mj=None if energy_pj is None else least * energy_pj / 1e9,
    )


def _sum(values: Iterator[float | None]) -> float | None:
    """Of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def unbounded(work: WorkList, rates: Rates) -> Iterator[Skipped]:
    """The parts that a bound does not have, with the reason; shares are those of the MACs at 256x256."""
    total = work.macs(256, 256)
    for precision in dict.fromkeys(group.precision for group in work.groups):
        share = sum(group.macs(256, 256) for group in work.groups if group.precision is precision) / total
        if rates.of(precision) is None:
            yield Skipped(what=f"latency of {precision} ({share:.0%} of the MACs)", reason="its peak is not known")
        if precision not in rates.pj_per_mac:
            what = f"energy of {precision} ({share:.0%} of the MACs)"
            yield Skipped(what=what, reason="the energy of a MAC is not known")
    if rates.bandwidth_gb_per_s is None:
        yield Skipped(what="latency of memory", reason="the bandwidth is not known")
    if rates.pj_per_byte is None:
        yield Skipped(what="energy of memory", reason="the energy of a byte is not known")
