"""The model of cost against this machine: no run may be faster than its bound."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from moceir_edge.errors import InputError
from moceir_edge.exporting import Search, Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.predicting.__main__ import main
from moceir_edge.predicting.here import HERE, Here, predict_here
from moceir_edge.predicting.table import here_text
from moceir_edge.program.lower import lower
from moceir_edge.targets.target import target_of
from moceir_edge.targets.to_onnx import TARGET as ONNX
from moceir_edge.terms import Precision, TargetName, Task
from tests.golden import golden_network
from tests.parity.fakes import dataset, noise, sample
from tests.predicting.conftest import SIZE, Board
from tests.targets.networks import full_plan, recipe
from tests.training.short_runs import slim_model

SIZES = ((64, 64), (128, 128), (256, 256))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Here]:
    """Export a slim tiny model once for a precision, and hold it against its bounds."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)

    @cache
    def measure(precision: str) -> Here:
        model, given = slim_model(guarded=True), recipe("onnx", precision, size="dynamic", golden=1)
        plan = full_plan(ONNX.prepare(lower(model.network), given)) if precision == "int8" else None
        folder = tmp_path_factory.mktemp(precision)
        chosen = dataset(sample("derain/0", noise(0, height=64, width=64)))
        write_artifact(Source(model, model, (Task.DERAIN,)), given, chosen, folder, search=Search(plan=plan))
        return predict_here(folder, sizes=SIZES, threads=1, rounds=2)

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_no_run_is_faster_than_its_bound(held: Callable[[str], Here], precision: str) -> None:
    """The best run of each size, against the best that the peaks reached in the same rounds."""
    found = held(precision)
    assert [each.size for each in found.held] == list(SIZES)
    assert all(each.best_ratio >= 1 for each in found.held), here_text(found)
    assert all(each.median_ms >= each.best_ms for each in found.held)


@pytest.mark.slow
def test_the_rates_are_measured_for_the_formats_in_use(held: Callable[[str], Here]) -> None:
    """Integers are probed for integers only; every rate says on what it was reached."""
    formats = {precision: held(precision).prediction.rates for precision in ("float32", "int8")}
    assert {rate.precision for rate in formats["float32"].rates} == {Precision.FLOAT32}
    assert {rate.precision for rate in formats["int8"].rates} == {Precision.FLOAT32, Precision.INT8}
    assert all(rate.source.startswith("measured in ONNX Runtime") for rate in formats["int8"].rates)


def test_the_command_tells_what_was_measured(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small network at its own size; the file reads back."""
    out = tmp_path / "here.json"
    assert main([str(artifact), "--threads", "1", "--rounds", "2", "--out", str(out)]) == 0
    found = Here.read(out)
    assert [each.size for each in found.held] == [SIZE]
    assert found.prediction.device == HERE
    assert capsys.readouterr().out.rstrip("\n") == here_text(found)


def test_the_command_predicts_for_a_profile(artifact: Path, board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured then; a wrong size is an error of two lines."""
    assert main([str(artifact), "--device", board()]) == 0
    assert capsys.readouterr().out.startswith("predicted bound for A board")
    assert main([str(artifact), "--device", board(), "--size", "128x64"]) == 2
    assert "does not serve 128x64" in capsys.readouterr().err
    assert main([str(artifact), "--size", "128"]) == 2
    assert "'128' is no size" in capsys.readouterr().err


def test_an_artifact_that_takes_gates_is_timed_by_its_own_routers(tmp_path: Path) -> None:
    """Nobody has to give it any."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)
    model = LoadedModel(golden_network("tiny"), "golden")
    given = recipe("onnx", size=SIZE, golden=1, gates_input=True)
    chosen = dataset(sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1])))
    write_artifact(Source(model, model, (Task.DERAIN,)), given, chosen, tmp_path)
    assert [each.size for each in predict_here(tmp_path, threads=1, rounds=1).held] == [SIZE]


def test_an_artifact_of_another_runtime_is_refused(artifact: Path, tmp_path: Path) -> None:
    """Its peaks would not be those of ONNX Runtime."""
    found = tmp_path / "other"
    relabelled(artifact, found)
    with pytest.raises(InputError, match="the coreml artifact runs otherwise"):
        predict_here(found)


def relabelled(artifact: Path, folder: Path) -> None:
    """The same files, said to be for Core ML."""
    from shutil import copytree

    copytree(artifact, folder)
    path = folder / "artifact.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"target": "onnx"', '"target": "coreml"'), encoding="utf-8")
