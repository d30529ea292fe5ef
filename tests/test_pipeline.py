"""The whole way, on the bundled model and pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from moceir_edge import processor, stages
from moceir_edge.artifacts import read_artifact
from moceir_edge.data.stress import STRESS
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import OutputError, RecipeError
from moceir_edge.guard_calibration import GuardFacts
from moceir_edge.network.checkpoint import load
from moceir_edge.recipe.schema import Recipe
from moceir_edge.resources import find_resource
from moceir_edge.run_folder import RunFolder
from moceir_edge.stages import PipelineRequest, PipelineResult, named_recipes, pipeline
from moceir_edge.terms import Task

STAGES = ("model", "data", "routing", "slim", "guard", "export-small", "reference", "verify-small")
RECIPE = "target: onnx\nprecision: float16\ngolden: 1\noverflow_size: [64, 64]\n"


def recipe_file(folder: Path) -> Path:
    """A small recipe."""
    path = folder / "small.yaml"
    path.write_text(RECIPE)
    return path


def request(folder: Path, out: Path) -> PipelineRequest:
    """Derain on the demo pictures."""
    recipes = named_recipes([str(recipe_file(folder))])
    return PipelineRequest(MODEL, (Task.DERAIN,), recipes, find_resource("calibration", "demo"), out)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PipelineResult]:
    """A finished run and what it said."""
    folder = tmp_path_factory.mktemp("pipeline")
    return folder, pipeline(request(folder, folder / "run"))


def test_run_ends_with_a_verified_artifact(finished: tuple[Path, PipelineResult]) -> None:
    """All gates pass, the artifact is executed here, and it is smaller than the full model."""
    folder, result = finished
    (outcome,) = result.artifacts
    artifact = read_artifact(folder / "run" / "small")
    assert outcome.passed
    assert artifact.verified
    assert artifact.counts.parameters < load(MODEL).parameters
    assert artifact.proofs.executed_on_device.state == "not_run"


def test_float16_is_bounded_and_memory_measured(finished: tuple[Path, PipelineResult]) -> None:
    """On four stress pictures and a real one, far from the end of float16; none of it needs a new island."""
    folder, _ = finished
    artifact = read_artifact(folder / "run" / "small")
    assert [found.picture for found in artifact.overflow] == [*STRESS, "real picture"]
    assert {found.size for found in artifact.overflow} == {(64, 64)}
    assert max(found.bound for found in artifact.overflow) < 100
    assert artifact.islands
    assert artifact.memory is not None


def test_the_guard_is_calibrated_and_tried_on_other_tasks(finished: tuple[Path, PipelineResult]) -> None:
    """Its rule is in the artifact, calls darkness foreign, and the report shows the curve."""
    folder, _ = finished
    facts = GuardFacts.read(folder / "run" / "guard.json")
    assert read_artifact(folder / "run" / "small").guard == facts.rule
    (dark,) = [row for row in facts.by_task if row.task is Task.LOWLIGHT]
    assert dark.alarms == dark.area == 1
    assert "ROC curves of the guard" in (folder / "run" / "report.html").read_text(encoding="utf-8")


def test_second_run_reuses_every_stage(finished: tuple[Path, PipelineResult]) -> None:
    """Nothing is computed twice, and the artifact has the same hash."""
    folder, first = finished
    again = pipeline(request(folder, folder / "run"))
    assert set(again.stages_reused) >= set(STAGES)
    assert again.stages_run == ()
    assert again.artifacts[0].sha256 == first.artifacts[0].sha256


def test_altered_output_is_made_again(finished: tuple[Path, PipelineResult]) -> None:
    """A stage whose file was changed runs again, and ends with the same artifact."""
    folder, first = finished
    slim = folder / "run" / "slim.safetensors"
    slim.write_bytes(slim.read_bytes()[:-8] + bytes(8))
    again = pipeline(request(folder, folder / "run"))
    assert "slim" in again.stages_run
    assert "routing" in again.stages_reused
    assert again.artifacts[0].sha256 == first.artifacts[0].sha256


def test_onnx_file_runs_with_onnxruntime_and_numpy_alone(finished: tuple[Path, PipelineResult]) -> None:
    """A program that knows artifact.json and nothing of ours gets the reference's golden output."""
    folder, _ = finished
    program = """
import json, sys, numpy as np, onnxruntime
from pathlib import Path
folder = Path(sys.argv[1]); facts = json.loads((folder / "artifact.json").read_text())
session = onnxruntime.InferenceSession(str(folder / facts["model"]))
golden = facts["golden"][0]
image = np.load(folder / golden["input"]).astype(np.float32) / 255
names = [output["name"] for output in facts["interface"]["outputs"]]
outputs = session.run(names, {facts["interface"]["inputs"][0]["name"]: image})
error = np.mean((outputs[0] - np.load(folder / golden["reference"])) ** 2)
assert not any(name.startswith(("torch", "moceir")) for name in sys.modules)
print(float(10 * np.log10(1 / error)))
"""
    command = [sys.executable, "-c", program, str(folder / "run" / "small")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert float(shown) > 50


def test_report_pictures_are_not_blank(finished: tuple[Path, PipelineResult]) -> None:
    """Input, reference, artifact, difference and target of the first pictures are there and show something."""
    from PIL import Image

    folder, _ = finished
    pictures = sorted((folder / "run" / "pictures-small").glob("*.png"))
    assert len(pictures) == 15
    for path in pictures:
        spread = np.asarray(Image.open(path)).std()
        assert spread > (0.1 if ".difference." in path.name else 5)


def test_damaged_reference_is_recorded_again(finished: tuple[Path, PipelineResult]) -> None:
    """An altered reference output is never compared with: the whole reference is made anew."""
    folder, first = finished
    output = next((folder / "run" / "reference").glob("*.npy"))
    right = np.load(output)
    np.save(output, right + np.float32(0.02))
    again = pipeline(request(folder, folder / "run"))
    assert "reference" in again.stages_run
    assert np.array_equal(np.load(output), right)
    assert again.artifacts[0].sha256 == first.artifacts[0].sha256


def test_foreign_files_are_not_deleted(tmp_path: Path) -> None:
    """A folder that is no run is refused, and a run keeps what others put into it."""
    foreign = tmp_path / "foreign"
    (foreign / "stages").mkdir(parents=True)
    (foreign / ".hidden").write_text("mine")
    with pytest.raises(OutputError, match="is no run"), RunFolder(foreign, say=print).open(force=True):
        pytest.fail("a foreign folder was taken")
    assert (foreign / ".hidden").read_text() == "mine"


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one is refused while the first works, with --force as well, and served after it."""
    folder = tmp_path / "run"
    first, second = (RunFolder(folder, say=print) for _ in range(2))
    with first.open(force=False):
        (folder / "work.json").write_text("mine")
        for force in (False, True):
            with pytest.raises(OutputError, match="another run works there"), second.open(force=force):
                pytest.fail("two runs work in one folder")
        assert (folder / "work.json").read_text() == "mine"
    with second.open(force=True):
        assert not (folder / "work.json").exists()
    assert [path.name for path in folder.iterdir()] == ["stages"]


def test_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two artifacts cannot have one place, and none may take a stage's."""
    for name in ("a/x.yaml", "b/x.yaml", "stages.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RECIPE)
    with pytest.raises(RecipeError):
        named_recipes([str(tmp_path / "a" / "x.yaml"), str(tmp_path / "b" / "x.yaml")])
    with pytest.raises(RecipeError):
        named_recipes([str(tmp_path / "stages.yaml")])


@pytest.mark.slow
def test_killed_run_continues_to_the_same_artifact(finished: tuple[Path, PipelineResult], tmp_path: Path) -> None:
    """Ten kills, one or more in each stage; the last start ends with the same hash and names what it reused."""
    folder, first = finished
    out = tmp_path / "run"
    command = [sys.executable, "-m", "moceir_edge", "pipeline", "--checkpoint", str(MODEL), "--task", "derain"]
    command += ["--recipe", str(folder / "small.yaml"), "--data", str(find_resource("calibration", "demo"))]
    command += ["--out", str(out), "--json"]
    for stage in STAGES:
        for delay in (0.0, 0.4):
            (out / "stages" / f"{stage}.json").unlink(missing_ok=True)
            assert _killed_after(command, stage, delay), f"{stage} did not run"
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(ended.stdout)
    assert result["artifacts"][0]["sha256"] == first.artifacts[0].sha256
    assert {"model", "data", "routing", "slim"} <= set(result["stages_reused"])


def _killed_after(command: list[str], stage: str, delay: float) -> bool:
    """Start, wait until a stage runs, kill without warning some seconds later; False if it never ran."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"{stage}: running"):
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
            process.stderr.close()
            return process.wait() == -signal.SIGKILL
    process.wait()
    return False


@pytest.mark.parametrize(
    ("target", "precision", "asks"),
    [
        ("onnx", "float16", set()),
        ("onnx", "int8", {"processor"}),
        ("openvino", "float32", {"processor"}),
        ("tensorrt", "float16", {"system", "gpu"}),
        ("tensorrt", "int8", {"processor", "system", "gpu"}),
        ("coreml", "float16", {"system", "gpu"}),
    ],
)
def test_an_export_is_made_again_on_a_machine_that_decides(
    target: str, precision: str, asks: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Mac, a GPU, and what the processor is fast at, for the targets that look for them."""
    recipe = Recipe.model_validate({"target": target, "precision": precision, "size": [64, 64]})
    here = stages._asked_of_the_machine(recipe) or {}
    assert asks == here.keys() & {"processor", "system", "gpu"}
    monkeypatch.setattr(processor, "processor_name", lambda: "another")
    monkeypatch.setattr("platform.system", lambda: "Another")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "another")
    there = stages._asked_of_the_machine(recipe) or {}
    assert asks == {name for name in ("processor", "system", "gpu") if here.get(name) != there.get(name)}
