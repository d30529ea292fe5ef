"""Computers on loopback, and a bundle that goes to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moceir_edge.reaching.patience import Patience
from moceir_edge.runner import torch_threads
from tests.bundling.bundles import small_artifact
from tests.reaching.bundles import small_bundle
from tests.reaching.computers import Network, require_openssh, use


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one that runs; nobody may change it."""
    with torch_threads(1):
        return small_artifact(tmp_path_factory.mktemp("artifact"), size=[64, 64])


@pytest.fixture(scope="session")
def bundle(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of that artifact, for the machine that the tests run on."""
    return small_bundle(artifact, tmp_path_factory.mktemp("bundle") / "small.tar.gz")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Computers that are switched off at the end."""
    require_openssh()
    folder = tmp_path / "network"
    folder.mkdir()
    made = Network(folder)
    use(made, monkeypatch)
    yield made
    for computer in made.computers:
        computer.switch_off()


@pytest.fixture
def patience() -> Patience:
    """Little of it between attempts; a server that is busy for three beats has not dropped out."""
    return Patience(attempts=3, backoff_s=0.2, beat_s=2, keep_s=60)
