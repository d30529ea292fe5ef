"""A narrow model beside the one it was made of; no time is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.benchmarking.bench import bench
from moceir_edge.benchmarking.experts import keep_experts
from moceir_edge.benchmarking.request import BenchRequest
from moceir_edge.benchmarking.result import Benchmark
from moceir_edge.benchmarking.table import bench_text
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.errors import InputError, PlanError
from moceir_edge.narrowing.cut import cut_channels
from moceir_edge.narrowing.spaces import SpaceKind, spaces
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.network.network import MoceIR
from tests.benchmarking.conftest import SIDE

Files = tuple[Path, Path]


def halved(network: MoceIR) -> MoceIR:
    """Half the channels of every feed-forward."""
    kept = {s.name: tuple(range(s.size // 2)) for s in spaces(network.architecture) if s.kind is SpaceKind.FEED_FORWARD}
    return cut_channels(network, kept)


@pytest.fixture(scope="module")
def files(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A narrow MODEL, and the slim one that it says it was made of."""
    folder = tmp_path_factory.mktemp("narrowed")
    slim = keep_experts(load(small_file), (1,))
    save(slim, folder / "slim.safetensors")
    notes = {"narrowing": {"model_sha256": slim.sha256}}
    save(LoadedModel(halved(slim.network), "narrow", notes), folder / "narrow.safetensors")
    return folder / "narrow.safetensors", folder / "slim.safetensors"


@pytest.fixture(scope="module")
def result(files: Files) -> Benchmark:
    """One round of both."""
    narrow, slim = files
    return bench(BenchRequest(str(narrow), side=SIDE, variants=("lowered",), rounds=1, threads=1, whole=slim))


def test_both_are_measured_and_compared(result: Benchmark) -> None:
    """MACs of both, the ratio, and what one saves of the other."""
    assert {row.variant for row in result.variants} == {Variant.LOWERED, Variant.WHOLE}
    ratio = result.ratio(Variant.LOWERED, Variant.WHOLE)
    assert ratio is not None
    assert result.whole_macs is not None
    share = result.macs / result.whole_macs
    assert 0.4 < share < 0.9
    assert result.latency_per_macs == pytest.approx((1 - 1 / ratio.median) / (1 - share))
    assert f"narrowed to {share:.3f} of the MACs" in bench_text(result)


def test_each_is_compared_with_its_own_network(result: Benchmark) -> None:
    """Arithmetic alone differs; the narrow one is another picture."""
    by_variant = {row.variant: row.parity for row in result.variants}
    for parity in by_variant.values():
        assert parity.kept_db is None or parity.kept_db > 90
    away = by_variant[Variant.WHOLE].eager_db
    assert away is not None
    assert away < 90


def test_a_stranger_is_refused(files: Files, small_file: Path) -> None:
    """Only what it was narrowed from is the whole one; a full model was narrowed from nothing."""
    narrow, slim = files
    with pytest.raises(PlanError, match=r"it was not narrowed from .*narrow\.safetensors"):
        bench(BenchRequest(str(narrow), side=SIDE, variants=("lowered",), whole=narrow))
    with pytest.raises(PlanError, match="no model was narrowed to this one"):
        bench(BenchRequest(str(small_file), side=SIDE, variants=("lowered",), whole=slim))
    with pytest.raises(InputError, match="whole is another model, and none is given"):
        bench(BenchRequest(str(narrow), side=SIDE, variants=("whole",)))
