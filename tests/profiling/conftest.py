"""A bundle of a small network, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import SIZE, recipe, small_network


@pytest.fixture(scope="session")
def made_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of any size; its golden picture is 64x72 or so."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    folder = tmp_path_factory.mktemp("made") / "artifact"
    folder.mkdir()
    model = LoadedModel(small_network(), "small")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    write_artifact(Source(model, model, (Task.DERAIN,)), recipe("onnx", size="dynamic"), dataset(picture), folder)
    return folder


@pytest.fixture(scope="session")
def packed(made_artifact: Path) -> Path:
    """Its bundle for this machine."""
    path = made_artifact.with_name("small.tar.gz")
    bundle(made_artifact, "x86_laptop", path)
    return path


@pytest.fixture
def unpacked(packed: Path, tmp_path: Path) -> Path:
    """The bundle's folder, which a test may change."""
    return tmp_path / open_bundle(packed, tmp_path).name
