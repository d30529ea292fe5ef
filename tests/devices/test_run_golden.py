"""The script for boards, run with nothing of the package in sight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.artifacts import read_artifact
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.resources import resource
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import SIZE, recipe, small_network

SCRIPT = resource("devices") / "raspberry_pi" / "run_golden.py"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """-I: no module of the working directory and no PYTHONPATH."""
    command = [sys.executable, "-I", str(SCRIPT), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In ORT format, which the script has to read as well."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("artifact")
    model = LoadedModel(small_network(), "small")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    given = recipe("onnx", onnx={"format": "ort"})
    write_artifact(Source(model, model, (Task.DERAIN,)), given, dataset(picture), folder)
    return folder


def test_it_restores_and_times_the_golden_pictures(artifact: Path, tmp_path: Path) -> None:
    """A line, a row and an array for each, close to the full model; the time is of a warm run."""
    ended = run(str(artifact), str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    golden = read_artifact(artifact).golden
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [row["name"] for row in result["pictures"]] == [each.name for each in golden]
    assert [line.split(": ")[0] for line in ended.stdout.splitlines()] == [each.name for each in golden]
    assert all(row["psnr_db"] > 100 and row["milliseconds"] > 0 for row in result["pictures"])
    restored, reference = np.load(tmp_path / "out" / "0.npy"), np.load(artifact / golden[0].reference)
    np.testing.assert_allclose(restored, reference, atol=1e-4)
    assert result["provider"] == "CPUExecutionProvider"


@pytest.mark.parametrize("words", [(), ("nowhere", "out"), ("a", "b", "c", "d")])
def test_wrong_words_show_how_it_is_called(words: tuple[str, ...]) -> None:
    """Exit 2, no traceback."""
    ended = run(*words)
    assert ended.returncode == 2
    assert "Usage: python3 run_golden.py" in ended.stderr
    assert "Traceback" not in ended.stderr
