"""One browser artifact of the bundled model, and a server that has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import moceir_edge as me
from moceir_edge.demonstration import MODEL
from moceir_edge.recipe.schema import Recipe
from moceir_edge.serving import open_server
from moceir_edge.targets.to_browser import TARGET
from moceir_edge.terms import Task
from tests.cli.world import FIXED, write_rain

RECIPE = {"target": "browser", "precision": "float32", "size": FIXED, "golden": 1}


@pytest.fixture(scope="session")
def rain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DATA folder of rainy pictures."""
    folder = tmp_path_factory.mktemp("rain")
    write_rain(folder / "derain", ("astronaut", "coffee", "rocket"))
    return folder


@pytest.fixture(scope="session")
def artifact(rain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged and passed, with a guard of four photographs, without WebGPU."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("browser")
    me.observe(MODEL, rain, folder / "routing.json", relevance=False)
    me.slim(MODEL, folder / "routing.json", folder / "slim.safetensors", tasks=[Task.DERAIN], max_experts=1)
    recipe = Recipe.model_validate({**RECIPE, "browser": {"webgpu": False}})
    write_rain(folder / "calibration" / "derain", ("brick", "camera", "chelsea", "retina"))
    outcome, _ = me.export(
        folder / "slim.safetensors", recipe, rain, folder / "artifact", calibration=folder / "calibration"
    )
    assert outcome.passed, outcome.failed_gates
    return folder / "artifact"


@pytest.fixture(scope="session")
def url(artifact: Path) -> Iterator[str]:
    """Where it is served."""
    with open_server(artifact, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
