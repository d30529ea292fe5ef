"""Predictions for a device that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest

from moceir_edge.artifacts import FILE_NAME, artifact_sha256, file_entries, read_artifact
from moceir_edge.device_profile import read_device_profile
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.predicting.predict import SIZES, predict, served_sizes
from moceir_edge.predicting.result import LABEL, Prediction
from moceir_edge.predicting.table import prediction_text
from moceir_edge.resources import resource_names
from moceir_edge.targets.work_list import WORK_FILE, WorkList
from moceir_edge.terms import TargetName
from tests.predicting.conftest import SIZE, Board, peak


def test_the_bound_is_the_work_over_the_peak(artifact: Path, board: Board) -> None:
    """Of the CPU, which ONNX Runtime uses, not of the faster GPU; labelled as what it is."""
    found = predict(artifact, board())
    (bound,) = found.sizes
    work = WorkList.read(artifact / WORK_FILE)
    assert (found.label, found.device, found.complete) == (LABEL, "board", True)
    assert found.artifact_sha256 == artifact_sha256(artifact)
    assert (bound.size, bound.macs) == (SIZE, work.macs(*SIZE))
    least = sum(group.least_macs for group in bound.groups)
    assert bound.macs / 5.1 < least < bound.macs
    assert bound.latency_ms == pytest.approx(least / 2e6)
    assert bound.latency_ms == pytest.approx(sum(group.latency_ms or 0 for group in bound.groups))


def test_the_text_names_label_sources_and_gaps(artifact: Path, board: Board, tmp_path: Path) -> None:
    """And the record reads back."""
    found = predict(artifact, board())
    text = prediction_text(found)
    assert text.startswith("predicted bound for A board (board): onnx, float32")
    assert "float32: 2.0 G MACs/s, CPU (https://example.org/CPU)" in text
    assert "not bounded: energy of memory: the energy of a byte is not known" in text
    found.write(tmp_path / "prediction.json")
    assert Prediction.read(tmp_path / "prediction.json") == found


def test_without_a_peak_there_is_no_number(artifact: Path, board: Board) -> None:
    """Only the reason."""
    found = predict(artifact, board(peaks=[peak("CPU", "int8", 8.0)]))
    assert (found.sizes[0].latency_ms, found.complete) == (None, False)
    assert "latency of float32 (100% of the MACs)" in {gap.what for gap in found.unbounded}
    assert f"{'72x64':>12} {'-':>11}" in prediction_text(found)


def test_energy_where_the_profile_has_figures(artifact: Path, board: Board) -> None:
    """A MAC of 2 pJ."""
    figure = {"value": 2.0, "source": "https://example.org/ours"}
    (bound,) = predict(artifact, board(pj_per_mac={"float32": figure}, pj_per_byte=figure)).sizes
    assert bound.energy_mj == pytest.approx(sum(group.least_macs for group in bound.groups) * 2e-9, rel=1e-6)


def test_a_device_without_the_runtime_is_refused(artifact: Path, board: Board) -> None:
    """It says what runs there."""
    runtimes = [
        {"target": "tensorrt", "library": "tensorrt", "precisions": ["float16"], "source": "https://example.org/ours"}
    ]
    with pytest.raises(InputError, match="board runs tensorrt, not onnx"):
        predict(artifact, board(runtimes=runtimes))


def test_an_artifact_that_does_not_say_its_work_is_exported_again(artifact: Path, board: Board, tmp_path: Path) -> None:
    """As those of earlier versions."""
    old = tmp_path / "old"
    copytree(artifact, old)
    (old / WORK_FILE).unlink()
    facts = json.loads((old / FILE_NAME).read_text())
    facts["files"] = {name: entry.model_dump() for name, entry in file_entries(old).items()}
    (old / FILE_NAME).write_text(json.dumps(facts))
    with pytest.raises(ArtifactError, match=r"does not say what it computes \(no work\.json\)") as caught:
        predict(old, board())
    assert caught.value.remedy == "export the model again"


def test_sizes_are_those_that_the_artifact_serves(artifact: Path, board: Board) -> None:
    """Padded as for a run; another one is refused, and one of nothing is no picture."""
    device = board()
    assert [bound.size for bound in predict(artifact, device, sizes=[(60, 70), SIZE]).sizes] == [SIZE]
    with pytest.raises(InputError, match="does not serve 128x64"):
        predict(artifact, device, sizes=[(64, 128)])
    with pytest.raises(InputError, match="no picture is 0x64"):
        predict(artifact, device, sizes=[(64, 0)])


def test_an_artifact_of_any_size_is_predicted_up_to_its_largest(artifact: Path) -> None:
    """Crops, HD, and a photo."""
    found = read_artifact(artifact)
    image = found.interface.inputs[0].model_copy(update={"shape": (1, 3, "height", "width")})
    anything = found.model_copy(update={"interface": found.interface.model_copy(update={"inputs": (image,)})})
    assert served_sizes(anything, ()) == SIZES
    limited = anything.model_copy(update={"largest": (1080, 1920)})
    assert served_sizes(limited, ()) == SIZES[:2]
    with pytest.raises(InputError, match="does not serve 2048x1080"):
        served_sizes(limited, [(1080, 2048)])
    assert served_sizes(anything.model_copy(update={"largest": (128, 192)}), ()) == ((128, 192),)


RUNNING = [name for name in resource_names("devices") if read_device_profile(name).runtime(TargetName.ONNX)]
"""Bundled profiles of devices that run ONNX Runtime."""


@pytest.mark.parametrize("device", RUNNING)
def test_every_bundled_profile_gives_a_bound_or_the_reason(artifact: Path, device: str) -> None:
    """A number for the formats whose peak it has; else what is missing."""
    found = predict(artifact, device)
    (bound,) = found.sizes
    assert (bound.latency_ms is None) is not found.complete
    assert found.complete or any(gap.what.startswith("latency of float32") for gap in found.unbounded)
