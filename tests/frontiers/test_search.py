"""A frontier as a whole, on the bundled model and pictures; no time is judged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from moceir_edge.demonstration import MODEL
from moceir_edge.errors import InputError, MissingBackendError, OutputError, PlanError
from moceir_edge.evaluating import evaluate
from moceir_edge.frontiers import measuring
from moceir_edge.frontiers.choosing import Ceiling, Measure
from moceir_edge.frontiers.request import SIZE, FrontierRequest, recipes_of, shares_of
from moceir_edge.frontiers.result import Frontier
from moceir_edge.frontiers.search import frontier
from moceir_edge.frontiers.table import frontier_text
from moceir_edge.network.checkpoint import load
from moceir_edge.predicting.predict import predict
from moceir_edge.recipe.read import read_recipe
from moceir_edge.resources import bundled
from moceir_edge.run_folder import RunFolder
from moceir_edge.runner import torch_threads
from moceir_edge.targets.target import target_of
from moceir_edge.terms import TargetName, Task
from tests.cli.world import write_rain
from tests.predicting.conftest import PROFILE, peak
from tests.targets.networks import recipe

Found = tuple[FrontierRequest, Frontier]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Two shares that can be reached and one that cannot, with float32 and a target that nothing here runs."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("frontier")
    write_rain(folder / "calibration" / "derain", ("camera", "chelsea"))
    write_rain(folder / "data" / "derain", ("coffee", "rocket"))
    request = FrontierRequest(
        MODEL,
        folder / "data",
        folder / "out",
        tasks=(Task.DERAIN,),
        calibration=folder / "calibration",
        shares=(0.5, 1.0, 0.05),
        recipes={"small": recipe("onnx", golden=1)},
        ceiling=Ceiling(measure=Measure.SIZE_MIB, limit=3),
        threads=1,
    )
    with pytest.MonkeyPatch.context() as patch, torch_threads(1):
        patch.setattr(measuring, "ROUNDS", 2)
        yield request, frontier(request)


def test_points_are_measured_or_left_out_with_the_reason(found: Found) -> None:
    """Slim and narrow in one precision; the share that no plan reaches says which one can be."""
    _, result = found
    whole, half = result.points
    assert (whole.name, half.name) == ("1-small", "0.5-small")
    assert whole.loss.loss_db == pytest.approx(0, abs=0.05)
    assert half.macs <= 0.5 * whole.macs
    assert half.size_bytes < whole.size_bytes
    assert (half.ratio > 0, whole.ratio) == (True, 1)
    (skipped,) = result.skipped
    assert skipped.what == "--keep-macs 0.05"
    least = re.search(r"the smallest is [\d,]+, (0\.\d+) of what it has", skipped.reason)
    assert least is not None
    assert 0.05 < float(least.group(1)) < 0.5


def test_the_slim_model_is_where_shares_count_from(found: Found) -> None:
    """A full model is slimmed for its tasks first."""
    request, result = found
    assert result.slimming.plan is not None
    assert result.points[0].parameters == load(request.out / "slim.safetensors").parameters < load(MODEL).parameters


def test_the_frontier_and_the_pick_are_judged(found: Found) -> None:
    """On pictures that chose nothing; the whole one is too large to be picked."""
    _, result = found
    assert result.picked == "0.5-small"
    for point in result.points:
        assert (point.judged is not None) is (point.name in {*result.frontier, result.picked})
        assert (point.beaten_by is None) is (point.name in result.frontier)
    (task,) = result.point("0.5-small").judged.tasks  # type: ignore[union-attr]
    assert (task.task, task.n) == (Task.DERAIN, 2)
    assert task.loss_db == pytest.approx(task.given_db - task.point_db)


def test_the_files_are_what_was_found(found: Found) -> None:
    """The result reads back; the text, the plot and the picked model and artifact are there and serve."""
    request, result = found
    out = request.out
    assert Frontier.read(out / "frontier.json") == result
    assert (out / "frontier.txt").read_text(encoding="utf-8").rstrip("\n") == frontier_text(result)
    assert "<svg" in (out / "frontier.svg").read_text(encoding="utf-8")
    picked = result.point("0.5-small")
    assert load(out / "picked" / "model.safetensors").sha256 == picked.model_sha256
    evaluation = evaluate(out / "picked" / "artifact", request.data)
    assert (evaluation.sha256, evaluation.size) == (picked.artifact_sha256, SIZE)


def test_a_second_run_reuses_every_stage(found: Found) -> None:
    """And comes to the same."""
    request, result = found
    again = frontier(request)
    assert again.stages_run == ()
    assert set(again.stages_reused) == set(result.stages_run)
    assert again.points == result.points


def test_the_choice_does_not_see_judging_pictures(found: Found, tmp_path: Path) -> None:
    """With other ones everything but judging is taken from before, and the same point is picked."""
    request, result = found
    copytree(request.data, tmp_path / "data")
    write_rain(tmp_path / "data" / "derain_other", ("astronaut",))
    copytree(request.out, tmp_path / "out")
    again = frontier(replace(request, data=tmp_path / "data", out=tmp_path / "out"))
    assert again.judging_sha256 != result.judging_sha256
    assert again.stages_run
    assert all(name.startswith("judging-") for name in again.stages_run)
    assert (again.picked, again.frontier) == (result.picked, result.frontier)
    assert [point.measured for point in again.points] == [point.measured for point in result.points]


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A device that runs ONNX Runtime, with a peak of 2 G MACs a second in float32."""
    path = tmp_path / "board.yaml"
    path.write_text(json.dumps(PROFILE))
    return path


def test_a_device_is_compared_by_its_predicted_bound(found: Found, tmp_path: Path, board: Path) -> None:
    """What was measured here stays beside it, and the ceiling is the bound's."""
    request, result = found
    copytree(request.out, tmp_path / "out")
    bounds = {
        point.name: predict(request.out / "points" / point.name, str(board), sizes=[SIZE]).sizes[0].latency_ms
        for point in result.points
    }
    limit = Ceiling(measure=Measure.LATENCY_MS, limit=1.01 * (bounds["0.5-small"] or 0))
    assert (bounds["1-small"] or 0) > limit.limit
    again = frontier(replace(request, out=tmp_path / "out", device=str(board), ceiling=limit))
    assert (again.device, again.picked, again.stages_run) == ("board", "0.5-small", ())
    assert {point.name: point.bound_ms for point in again.points} == bounds
    assert [point.measured for point in again.points] == [point.measured for point in result.points]
    assert again.frontier[0] == "0.5-small"
    text = frontier_text(again)
    assert "compared by the predicted bound on board; ms: measured here" in text
    assert f"picked within {limit.limit:g} ms of predicted bound on board: 0.5-small" in text
    assert "predicted bound at 256x256, ms" in (tmp_path / "out" / "frontier.svg").read_text(encoding="utf-8")
    assert Frontier.read(tmp_path / "out" / "frontier.json") == again
    low = limit.model_copy(update={"limit": limit.limit / 1000})
    with pytest.raises(PlanError, match=r"the nearest, 0\.5-small, has .* ms of predicted bound on board"):
        frontier(replace(request, out=tmp_path / "out", device=str(board), ceiling=low))


def test_a_device_whose_peak_is_not_known_compares_nothing(found: Found, tmp_path: Path, board: Path) -> None:
    """Nothing is guessed; the reason is told."""
    request, _ = found
    copytree(request.out, tmp_path / "out")
    board.write_text(json.dumps({**PROFILE, "peaks": [peak("CPU", "int8", 8.0)]}))
    reason = r"1-small: no predicted bound on board \(latency of float32 \(100% of the MACs\): its peak is not known\)"
    with pytest.raises(InputError, match=reason):
        frontier(replace(request, out=tmp_path / "out", device=str(board), ceiling=None))


def test_recipes_that_the_device_does_not_run_are_left_out(found: Found, board: Path) -> None:
    """With the reason; where none is left, before any work is done."""
    request, _ = found
    asked = {"small": recipe("onnx", golden=1), "vino": recipe("openvino")}
    both, skipped = recipes_of(replace(request, device=str(board), recipes=asked))
    assert (list(both), [item.what for item in skipped]) == (["small"], ["vino"])
    board.write_text(json.dumps({**PROFILE, "runtimes": [{**PROFILE["runtimes"][0], "target": "tensorrt"}]}))
    with pytest.raises(InputError, match="board runs tensorrt, not onnx"):
        recipes_of(replace(request, device=str(board)))


def test_a_ceiling_that_nothing_meets_names_the_nearest(found: Found, tmp_path: Path) -> None:
    """The points are written all the same, and what was picked before is gone."""
    request, _ = found
    copytree(request.out, tmp_path / "out")
    low = Ceiling(measure=Measure.SIZE_MIB, limit=0.1)
    with pytest.raises(PlanError, match=r"no point is within 0\.1 MiB: the nearest, 0\.5-small, has"):
        frontier(replace(request, out=tmp_path / "out", ceiling=low))
    assert Frontier.read(tmp_path / "out" / "frontier.json").picked is None
    assert not (tmp_path / "out" / "picked").exists()


def test_a_run_of_another_kind_is_not_taken(found: Found, tmp_path: Path) -> None:
    """Not with force, either: its stages would be deleted."""
    request, _ = found
    with RunFolder(tmp_path, say=print).open(force=False):
        (tmp_path / "routing.json").write_text("{}")
    with pytest.raises(OutputError, match="exists already and is no frontier"):
        frontier(replace(request, out=tmp_path), force=True)
    with pytest.raises(OutputError, match="exists already and is no run"):
        RunFolder(request.out, say=print).check()
    assert (tmp_path / "routing.json").exists()


def test_a_target_that_cannot_run_here_is_left_out(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported, but not executed: there is nothing to time."""
    request, _ = found
    copytree(request.out, tmp_path / "out")
    target = target_of(TargetName.ONNX)
    monkeypatch.setattr(type(target), "runner", lambda *_, **__: "no device here")
    changed = {"other": recipe("onnx", golden=2)}
    with pytest.raises(InputError, match=r"no point can be had here .*1-other: no device here"):
        frontier(replace(request, out=tmp_path / "out", recipes=changed, shares=(1.0,)))


def test_recipes_are_taken_at_the_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 and int8 where none is asked for; a missing library leaves its recipe out, or ends it."""
    nothing = FrontierRequest(Path(), Path(), Path())
    assert [each.fixed_size for each in recipes_of(nothing)[0].values()] == [SIZE, SIZE]
    assert list(recipes_of(nothing)[0]) == ["float32", "int8"]
    monkeypatch.setattr(type(target_of(TargetName.COREML)), "missing", lambda _: "coremltools is not installed: pip")
    phone = read_recipe(bundled("export", "ios"))
    both, skipped = recipes_of(replace(nothing, recipes={"any": recipe("onnx"), "ios": phone}))
    assert (list(both), [item.what for item in skipped]) == (["any"], ["ios"])
    with pytest.raises(MissingBackendError, match="coremltools is not installed"):
        recipes_of(replace(nothing, recipes={"ios": phone}))
    with pytest.raises(InputError, match="finds its gates itself"):
        recipes_of(replace(nothing, recipes={"gated": recipe("onnx", gates_input=True)}))


def test_shares_are_sorted_and_checked() -> None:
    """Each once, the largest first."""
    request = FrontierRequest(Path(), Path(), Path(), shares=(0.5, 1, 0.5))
    assert shares_of(request) == (1, 0.5)
    for share in (0, -1, 1.5, float("nan")):
        with pytest.raises(InputError, match="is no share of the MACs"):
            shares_of(replace(request, shares=(share,)))


def test_a_damaged_stage_is_made_again(found: Found, tmp_path: Path) -> None:
    """As after a kill: the stage without its mark runs again, the others do not."""
    request, result = found
    copytree(request.out, tmp_path / "out")
    (tmp_path / "out" / "stages" / "export-0.5-small.json").unlink()
    again = frontier(replace(request, out=tmp_path / "out"))
    assert again.stages_run[0] == "export-0.5-small"
    assert not {"routing", "slim", "narrow-0.5", "export-1-small"} & set(again.stages_run)
    assert again.point("0.5-small").model_sha256 == result.point("0.5-small").model_sha256
    json.loads((tmp_path / "out" / "frontier.json").read_text(encoding="utf-8"))
