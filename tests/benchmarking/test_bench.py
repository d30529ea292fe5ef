"""The benchmark as a whole, on a network of one level; no time is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.benchmarking.plot import MARKERS
from moceir_edge.benchmarking.request import RESULT
from moceir_edge.benchmarking.result import Benchmark
from moceir_edge.benchmarking.table import bench_text
from moceir_edge.benchmarking.variants import Variant
from tests.benchmarking.conftest import ASKED

Benched = tuple[Benchmark, Path]

FLOATS = {Variant.STRAIGHTFORWARD, Variant.LOWERED, Variant.LOWERED_OPENVINO, Variant.OPENVINO_FLOAT32}


def test_every_variant_is_measured_or_skipped_with_its_reason(benched: Benched) -> None:
    """Nothing that was asked for is missing without a word."""
    result, _ = benched
    skipped = {item.what: item.reason for item in result.skipped}
    assert {row.variant for row in result.variants} | skipped.keys() >= set(ASKED)
    assert all(skipped.values())
    assert {"eager", "straightforward", "lowered"} <= {row.variant for row in result.variants}


def test_float_variants_compute_the_same(benched: Benched) -> None:
    """The same experts in another library give the same picture."""
    result, _ = benched
    parity = {row.variant: row.parity.kept_db for row in result.variants}
    for variant in FLOATS & parity.keys():
        assert parity[variant] is None or parity[variant] > 90


def test_only_variants_that_we_place_have_an_integer_share(benched: Benched) -> None:
    """Int8 has one, unless it is too loud for these random weights, which is a reason."""
    result, _ = benched
    shares = {row.variant: row.integer_share for row in result.variants}
    for variant in (Variant.INT8, Variant.INT8_OPENVINO):
        if variant in shares:
            share = shares.pop(variant)
            assert share is not None
            assert 0 < share <= 1
        else:
            reasons = {item.what: item.reason for item in result.skipped}
            assert "no placement of int8" in reasons[variant] or "openvino" in reasons[variant]
    assert set(shares.values()) == {None}


def test_ratios_stand_against_both_baselines(benched: Benched) -> None:
    """The median lies inside its quartiles and its interval."""
    result, _ = benched
    for against in (Variant.EAGER, Variant.STRAIGHTFORWARD):
        ratio = result.ratio(Variant.LOWERED, against)
        assert ratio is not None
        assert ratio.lower <= ratio.median <= ratio.upper
        assert ratio.low <= ratio.median <= ratio.high
    assert result.ratio(Variant.EAGER, Variant.EAGER) is None


def test_memory_operators_and_rooflines_are_there(benched: Benched) -> None:
    """Each variant has a peak above its imports, operators with names, and a bound."""
    result, _ = benched
    for row in result.variants:
        assert row.memory is not None
        assert row.memory.peak_mib >= row.memory.loaded_mib >= row.memory.imported_mib > 0
        assert (row.over_roofline is None) is (row.variant is Variant.INT8_OPENVINO)
    kinds = {row.variant: [kind.kind for kind in row.operators] for row in result.variants}
    assert any("depthwise" in kind for kind in kinds[Variant.STRAIGHTFORWARD])
    assert kinds[Variant.EAGER]
    names = {found.name for found in result.rooflines}
    assert {row.roofline for row in result.variants} - {None} <= names


def test_result_is_written_as_a_whole(benched: Benched) -> None:
    """The JSON reads back, the text is what people saw, the plot is a picture."""
    result, out = benched
    assert Benchmark.read(out / RESULT) == result
    assert (out / "bench.txt").read_text(encoding="utf-8").rstrip("\n") == bench_text(result)
    assert "<svg" in (out / "latency.svg").read_text(encoding="utf-8")


def test_origin_is_part_of_the_result(benched: Benched) -> None:
    """Model, versions, machine, picture and kept experts."""
    result, _ = benched
    assert len(result.model_sha256) == len(result.kept_sha256) == 64
    assert result.versions["torch"]
    assert result.machine.cores >= 1
    assert set(result.experts.values()) == {(1,)}
    assert result.picture


@pytest.mark.parametrize("name", ASKED)
def test_text_names_what_was_asked(benched: Benched, name: str) -> None:
    """Measured or skipped, it is in the table that people read."""
    assert name in bench_text(benched[0])


def test_every_variant_has_a_mark_of_its_own_in_the_plot() -> None:
    """All of them may be measured at once."""
    assert len(set(MARKERS)) == len(MARKERS) >= len(Variant)
