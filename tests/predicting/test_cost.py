"""The model of cost, on numbers that can be checked by hand."""

from __future__ import annotations

import pytest

from moceir_edge.predicting.cost import ON_CHIP_BYTES, bound, unbounded, winograd_gain
from moceir_edge.predicting.rates import Rate, Rates
from moceir_edge.program.work import Work
from moceir_edge.targets.work_list import Cells, OperatorGroup, WorkList
from moceir_edge.terms import Precision


def group(work: Work, precision: Precision, macs: int, *, kernel: int = 1, weights: int = 0) -> OperatorGroup:
    """One operator that does so many MACs for each 8x8 pixels."""
    cells = (Cells(side=8, macs=macs),)
    return OperatorGroup(
        kind=f"{work} {kernel}",
        work=work,
        kernel=kernel,
        precision=precision,
        operators=1,
        weights=weights,
        fixed_macs=0,
        cells=cells,
    )


def rates(*known: tuple[Precision, float], **fields: object) -> Rates:
    """So many G MACs a second of each format."""
    found = tuple(Rate(precision=p, gmacs_per_s=rate, what="CPU", source="ours") for p, rate in known)
    return Rates.model_validate({"rates": found, **fields})


FLOAT, INTEGER = Precision.FLOAT32, Precision.INT8
MIXED = WorkList(
    groups=(group(Work.DENSE, INTEGER, 8_000_000), group(Work.MATMUL, FLOAT, 1_000_000)), bytes_per_pixel=24
)


def test_every_format_has_its_own_peak() -> None:
    """8 M at 4 G/s are 2 ms, 1 M at 1 G/s are 1 ms; for four cells four times as much."""
    known = rates((FLOAT, 1.0), (INTEGER, 4.0))
    found = bound(MIXED, (8, 8), known, stored_bytes=0)
    assert [(g.precision, g.latency_ms) for g in found.groups] == [(INTEGER, 2.0), (FLOAT, 1.0)]
    assert found.latency_ms == pytest.approx(3.0)
    assert bound(MIXED, (16, 16), known, stored_bytes=0).latency_ms == pytest.approx(12.0)


def test_a_format_without_peak_is_named_and_counts_as_nothing() -> None:
    """What is left is a bound all the same; no peak is guessed from another format's."""
    known = rates((FLOAT, 1.0))
    found = bound(MIXED, (8, 8), known, stored_bytes=0)
    assert found.latency_ms == pytest.approx(1.0)
    assert {g.precision: g.latency_ms for g in found.groups} == {INTEGER: None, FLOAT: 1.0}
    assert "latency of int8 (89% of the MACs)" in {gap.what for gap in unbounded(MIXED, known)}
    assert bound(MIXED, (8, 8), rates(), stored_bytes=0).latency_ms is None


def test_a_narrow_format_is_no_slower_than_a_wide_one() -> None:
    """A runtime may compute integers as floats where those are faster."""
    found = bound(MIXED, (8, 8), rates((FLOAT, 8.0), (INTEGER, 4.0)), stored_bytes=0)
    assert found.groups[0].latency_ms == pytest.approx(1.0)


def test_dense_convolutions_may_need_fewer_products() -> None:
    """By F(6x6, 3x3), 64 for 324; depthwise ones and those without a kernel gain nothing."""
    assert (winograd_gain(1), winograd_gain(3)) == (1.0, pytest.approx(324 / 64))
    assert winograd_gain(5) == pytest.approx(400 / 64)
    assert all(winograd_gain(kernel) >= 1 for kernel in range(1, 20))
    for work, least in ((Work.DENSE, 64), (Work.DEPTHWISE, 324), (Work.MATMUL, 324)):
        one = WorkList(groups=(group(work, FLOAT, 324, kernel=3),), bytes_per_pixel=24)
        assert bound(one, (8, 8), rates((FLOAT, 1.0)), stored_bytes=0).groups[0].least_macs == least


def test_memory_binds_where_nothing_could_stay_on_the_chip() -> None:
    """Only beyond what caches hold; weights count as the file stores them where that is less."""
    heavy = group(Work.DENSE, FLOAT, 1, weights=100 * 2**20)
    work = WorkList(groups=(heavy,), bytes_per_pixel=24)
    known = rates((FLOAT, 1000.0), bandwidth_gb_per_s=1.0, bandwidth_source="ours")
    all_weights = bound(work, (8, 8), known, stored_bytes=2**40)
    assert all_weights.moved_bytes == 400 * 2**20 + 24 * 64
    assert all_weights.latency_ms == all_weights.memory_ms
    assert all_weights.memory_ms == pytest.approx((all_weights.moved_bytes - ON_CHIP_BYTES) / 1e6)
    packed = bound(work, (8, 8), known, stored_bytes=1000)
    assert (packed.moved_bytes, packed.memory_ms) == (1000 + 24 * 64, 0)
    assert packed.latency_ms == pytest.approx(1e-9)


def test_energy_is_known_only_where_figures_are() -> None:
    """8 M MACs at 0.5 pJ are 4 uJ; without any figure there is none, with the reason."""
    known = rates(pj_per_mac={INTEGER: 0.5}, pj_per_byte=20.0)
    found = bound(MIXED, (8, 8), known, stored_bytes=0)
    assert found.energy_mj == pytest.approx(0.004)
    assert bound(MIXED, (8, 8), rates((FLOAT, 1.0)), stored_bytes=0).energy_mj is None
    gaps = {gap.what: gap.reason for gap in unbounded(MIXED, rates())}
    assert gaps["energy of int8 (89% of the MACs)"] == "the energy of a MAC is not known"
    assert gaps["energy of memory"] == "the energy of a byte is not known"
