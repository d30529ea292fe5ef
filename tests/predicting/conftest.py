"""An artifact of the bundled model, and profiles with figures of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.targets.target import target_of
from moceir_edge.terms import TargetName, Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import recipe, small_network

SIZE = (64, 72)
PAGE = "https://example.org/a-test"


def peak(unit: str, precision: str, gmacs_per_s: float) -> dict[str, Any]:
    """A peak as a profile writes it."""
    source = f"https://example.org/{quote(unit)}"
    return {"unit": unit, "precision": precision, "gmacs_per_s": {"value": gmacs_per_s, "source": source}}


PROFILE: dict[str, Any] = {
    "title": "A board",
    "system": "Linux",
    "reach": "ssh",
    "runner": "python",
    "runtimes": [
        {
            "target": "onnx",
            "library": "onnxruntime",
            "precisions": ["float32", "int8"],
            "source": "https://example.org/ours",
        }
    ],
    "peaks": [peak("CPU", "float32", 2.0), peak("CPU", "int8", 8.0), peak("GPU", "float32", 100.0)],
    "bandwidth_gb_per_s": {"value": 10, "source": "https://example.org/ours"},
}

Board = Callable[..., str]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Writes the profile, changed as asked for, and gives its path."""

    def write(**changes: Any) -> str:
        path = tmp_path / "board.yaml"
        path.write_text(json.dumps({**PROFILE, **changes}), encoding="utf-8")  # which is YAML, too
        return str(path)

    return write


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network for ONNX Runtime in float32, for pictures of `SIZE`."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("artifact")
    model = LoadedModel(small_network(), "small")
    given = recipe("onnx", "float32", size=SIZE, golden=1)
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    write_artifact(Source(model, model, (Task.DERAIN,)), given, dataset(picture), folder)
    return folder
