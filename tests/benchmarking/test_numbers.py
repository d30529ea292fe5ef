"""Ratios, rounds and rooflines, on numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.benchmarking.machine import Machine
from moceir_edge.benchmarking.memory_child import peak_mib
from moceir_edge.benchmarking.peaks import Peak, Peaks, measure_peaks
from moceir_edge.benchmarking.probes import PROBES, Probe
from moceir_edge.benchmarking.ratios import ratio_of
from moceir_edge.benchmarking.roofline import every_integer, roofline
from moceir_edge.benchmarking.timing import measure_rounds, timing_of
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.contention import Moment, others_share
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.program.work import Work
from moceir_edge.runner import Image, Outputs
from moceir_edge.terms import Precision
from moceir_edge.timing import rotated


def test_ratio_is_by_round() -> None:
    """A round that is slow for both sides does not move it, as the ratio of medians would."""
    own, other = [10.0, 100.0, 10.0], [20.0, 200.0, 20.0]
    ratio = ratio_of(Variant.LOWERED, Variant.EAGER, own, other)
    assert ratio.median == ratio.lower == ratio.upper == ratio.low == ratio.high == pytest.approx(2.0)


def test_timing_has_median_and_quartiles() -> None:
    """Of all rounds, which stay in their order."""
    timing = timing_of([5.0, 1.0, 3.0])
    assert (timing.lower_ms, timing.median_ms, timing.upper_ms) == (2.0, 3.0, 4.0)
    assert timing.rounds_ms == (5.0, 1.0, 3.0)


def test_every_variant_runs_once_in_every_round() -> None:
    """In rotating order."""
    seen: list[Variant] = []

    class Spy:
        size = None

        def __init__(self, variant: Variant) -> None:
            self.variant = variant

        def run(self, image: Image) -> Outputs:
            seen.append(self.variant)
            return Outputs(image)

    chosen = [Variant.EAGER, Variant.LOWERED, Variant.INT8]
    timings = measure_rounds({v: Spy(v) for v in chosen}, np.zeros((3, 8, 8), np.float32), rounds=3)
    rounds = seen[-9:]
    assert [rounds[i : i + 3] for i in (0, 3, 6)] == [rotated(chosen, number) for number in range(3)]
    assert {len(timing.rounds_ms) for timing in timings.values()} == {3}


def _program() -> Program:
    build = Builder()
    image = build.add(Kind.INPUT, "image")
    wide = build.add(Kind.CONV, "wide", image, constants={"weight": np.ones((64, 3, 1, 1))}, groups=1)
    deep = build.add(Kind.CONV, "deep", wide, constants={"weight": np.ones((64, 1, 3, 3))}, groups=64)
    build.add(Kind.ADD, "sum", wide, deep)
    return Program(tuple(build.operations), {"restored": "sum"}, (), 1)


def _peaks(dense: float, depthwise: float, bandwidth: float) -> Peaks:
    rates = [(Work.DENSE, Precision.FLOAT32, dense), (Work.DEPTHWISE, Precision.FLOAT32, depthwise)]
    rates += [(work, Precision.INT8, 4 * rate) for work, _, rate in rates]
    peaks = [
        Peak(work=work, precision=precision, gmacs_per_s=rate, shape="", all_gmacs_per_s={})
        for work, precision, rate in rates
    ]
    return Peaks(threads=1, peaks=tuple(peaks), gigabytes_per_s=bandwidth)


def test_roofline_takes_the_slower_of_both_limits() -> None:
    """Multiplications bind convolutions here, bytes bind the sum."""
    program, pixels = _program(), 8 * 8
    found = roofline("float32", program, (8, 8), _peaks(1e-3, 1e-3, 1e-3))
    bounds = {kind.kind: kind for kind in found.kinds}
    assert bounds["conv 3x3 depthwise"].bound_ms == pytest.approx(64 * 9 * pixels / 1e6 * 1e3)
    assert bounds["conv 1x1"].bound_ms == pytest.approx(4 * (3 * pixels + 64 * 3 + 64 * pixels) / 1e6 * 1e3)
    assert bounds["add"].bound_ms == bounds["add"].by_bytes_ms == pytest.approx(4 * 3 * 64 * pixels / 1e6 * 1e3)
    assert found.total_ms == pytest.approx(sum(kind.bound_ms for kind in found.kinds))


def test_integers_move_a_quarter_and_multiply_at_their_own_peak() -> None:
    """Only where they are: the sum stays in float32."""
    program, peaks = _program(), _peaks(1e-3, 1e-3, 1e-3)
    assert every_integer(program) == ("wide", "deep")
    floats = {k.kind: k.bound_ms for k in roofline("", program, (8, 8), peaks).kinds}
    integers = {k.kind: k.bound_ms for k in roofline("", program, (8, 8), peaks, integer=["wide", "deep"]).kinds}
    assert integers["conv 1x1"] == pytest.approx(floats["conv 1x1"] / 4)
    assert integers["conv 3x3 depthwise"] == pytest.approx(floats["conv 3x3 depthwise"] / 4)
    assert integers["add"] == floats["add"]


def test_peaks_cover_every_work_in_both_precisions() -> None:
    """The runtime has an operator for each; one small shape of each is run here."""
    assert {(p.work, p.precision) for p in PROBES} == {
        (w, p) for w in Work for p in (Precision.FLOAT32, Precision.INT8)
    }
    weights = {Work.DENSE: (8, 8, 1, 1), Work.DEPTHWISE: (8, 1, 3, 3), Work.MATMUL: (8, 8)}
    small = [Probe(w, p, weights[w], 8) for w in Work for p in (Precision.FLOAT32, Precision.INT8)]
    peaks = measure_peaks(1, probes=small)
    assert all((peaks.rate(probe.work, probe.precision) or 0) > 0 for probe in small)
    assert peaks.gigabytes_per_s > 0


def test_busy_machine_is_told() -> None:
    """Half of two cores used by others for ten seconds."""
    share = others_share(Moment(0, 100, 5), Moment(10, 115, 10))
    assert share is not None
    machine = Machine(
        device="", system="", cores=2, vnni=None, load_before=3, load_after=None, clocks_mhz=None, others_share=0.5
    )
    assert len(machine.warnings) == 2
    assert "50%" in machine.warnings[0]
    assert others_share(Moment(0, None, 5), Moment(10, None, 10)) is None


def test_peak_memory_is_of_this_process() -> None:
    """A large array shows."""
    before = peak_mib()
    array = np.ones(1 << 26)
    assert peak_mib() >= before
    assert peak_mib() > array.nbytes / 2**20


def test_probes_count_their_work() -> None:
    """By hand."""
    assert Probe(Work.DENSE, Precision.FLOAT32, (4, 3, 1, 1), 8).macs == 12 * 64
    assert Probe(Work.DEPTHWISE, Precision.FLOAT32, (4, 1, 3, 3), 8).macs == 36 * 64
    assert Probe(Work.MATMUL, Precision.FLOAT32, (4, 5), 8).macs == 160
