"""The script for boards, run with nothing of the package in sight."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from moceir_edge.artifacts import read_artifact
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import sha256_of_file
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


def altered(artifact: Path, folder: Path, **changed: object) -> Path:
    """A copy whose artifact.json says something else."""
    shutil.copytree(artifact, folder)
    described = json.loads((folder / "artifact.json").read_text())
    (folder / "artifact.json").write_text(json.dumps({**described, **changed}))
    return folder


def test_what_it_cannot_run_is_refused(artifact: Path, tmp_path: Path) -> None:
    """A file that was cut off, another target, gates from the caller: a line, exit 2, nothing written."""
    cut = altered(artifact, tmp_path / "cut")
    model = cut / "model.ort"
    model.write_bytes(model.read_bytes()[:-100])
    gates = {**json.loads((artifact / "artifact.json").read_text())["recipe"], "gates_input": True}
    cases = {
        cut: "was altered or cut off",
        altered(artifact, tmp_path / "target", target="tensorrt"): "is for tensorrt",
        altered(artifact, tmp_path / "gates", recipe=gates): "takes its gates from the caller",
        altered(artifact, tmp_path / "empty", golden=[]): "has no golden pictures",
        tmp_path / "nowhere": "no whole artifact",
    }
    for folder, said in cases.items():
        ended = run(str(folder), str(tmp_path / "out"))
        assert ended.returncode == 2
        assert len(ended.stderr.splitlines()) == 1
        assert said in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_that_the_runtime_does_not_take_is_told(artifact: Path, tmp_path: Path) -> None:
    """Its hash is right, its content is not."""
    folder = altered(artifact, tmp_path / "other")
    (folder / "model.ort").write_bytes(b"no model")
    files = json.loads((folder / "artifact.json").read_text())["files"]
    files["model.ort"]["sha256"] = sha256_of_file(folder / "model.ort")
    ended = run(str(altered(folder, tmp_path / "again", files=files)), str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "does not load it" in ended.stderr
    assert "Traceback" not in ended.stderr


class Broken:
    """A session that gives NaN."""

    def run(self, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        return [np.full_like(inputs["image"], np.nan)]

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


def test_nan_is_a_failure(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, in words, and JSON that any reader takes."""
    spec = importlib.util.spec_from_file_location("run_golden", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "load", lambda model: Broken())
    assert module.main([str(artifact), str(tmp_path), "1"]) == 3
    assert "NaN or infinity" in capsys.readouterr().out
    assert "NaN" not in (tmp_path / "result.json").read_text()


@pytest.mark.parametrize("words", [(), ("a", "b", "c", "d"), ("a", "b", "two"), ("a", "b", "0"), ("a", "b", "-1")])
def test_wrong_words_show_how_it_is_called(words: tuple[str, ...]) -> None:
    """Exit 2, no traceback."""
    ended = run(*words)
    assert ended.returncode == 2
    assert "Usage: python3 run_golden.py" in ended.stderr
    assert "Traceback" not in ended.stderr
