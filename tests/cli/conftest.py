"""The folder in which every command of these tests runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moceir_edge.runner import torch_threads
from tests.cli.world import make_world


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of all kinds, made once."""
    folder = tmp_path_factory.mktemp("world")
    with torch_threads(1):
        make_world(folder)
    (folder / "temporary").mkdir()
    return folder


@pytest.fixture
def world(made_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder as working directory, with the place for temporary files in it; one thread computes."""
    monkeypatch.chdir(made_world)
    monkeypatch.setattr(tempfile, "tempdir", str(made_world / "temporary"))
    with torch_threads(1):
        yield made_world
