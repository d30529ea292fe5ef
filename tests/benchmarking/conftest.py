"""One model that exports in seconds, and one benchmark of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.benchmarking.bench import bench
from moceir_edge.benchmarking.request import BenchRequest
from moceir_edge.benchmarking.result import Benchmark
from moceir_edge.network.checkpoint import LoadedModel, save
from tests.targets.networks import small_network

SIDE = 32
ASKED = (
    "eager",
    "straightforward",
    "lowered",
    "float16",
    "bfloat16",
    "int8",
    "lowered-openvino",
    "int8-openvino",
    "openvino-float32",
)


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a MODEL."""
    path = tmp_path_factory.mktemp("small") / "small.safetensors"
    save(LoadedModel(small_network(), "small"), path)
    return path


@pytest.fixture(scope="session")
def benched(small_file: Path) -> tuple[Benchmark, Path]:
    """A benchmark with one thread, and where it was written."""
    out = small_file.parent / "bench"
    request = BenchRequest(str(small_file), side=SIDE, experts="1", variants=ASKED, rounds=3, threads=1, out=out)
    return bench(request), out
