"""The guard at work: `restore` and `evaluate` warn of pictures that the artifact was not made for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from moceir_edge import evaluating
from moceir_edge.artifacts import Artifact
from moceir_edge.data.images import Picture, write_picture
from moceir_edge.evaluating import evaluate
from moceir_edge.guarding import GuardRule, rule_from_scores
from moceir_edge.opening import Opened
from moceir_edge.program.lower import lower
from moceir_edge.runner import Image, Outputs
from moceir_edge.streaming.restore import RestoredFiles, restore
from moceir_edge.terms import Task
from tests.targets import fake
from tests.targets.networks import exported, recipe, small_network

OWN, FOREIGN = 0.7, 0.2
"""Grey of pictures that the artifact knows, and of others."""


def scores_of(grey: float) -> Image:
    """(1, 2) of a picture, as this runner's routers say."""
    return np.array([[grey, 1 - grey]], np.float32)


class Grey:
    """Routes by the mean of what it is given."""

    size = None

    def run(self, image: Image) -> Outputs:
        """The picture itself."""
        return Outputs(image, 1.0, scores_of(float(image.mean())))


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """For rain, which here has greys from 0.66 to 0.74."""
    rule = rule_from_scores([scores_of(OWN + 0.01 * step) for step in range(-4, 5)], list("abcdefghi"))
    assert isinstance(rule, GuardRule)
    made = exported(fake.TARGET, lower(small_network()), recipe("onnx", size="dynamic"), tmp_path / "artifact")
    return made.model_copy(update={"guard": rule, "tasks": ("derain",)})


def picture(path: Path, grey: float) -> Path:
    """A flat one of 48x40."""
    write_picture(Picture(np.full((3, 40, 48), grey, np.float32)), path)
    return path


def restored(
    monkeypatch: pytest.MonkeyPatch, folder: Path, artifact: Artifact, *, tile: int | None = None
) -> tuple[RestoredFiles, list[str]]:
    """What becomes of an own and of a foreign picture, and what is said."""
    said: list[str] = []
    pictures = [picture(folder / "own.png", OWN), picture(folder / "foreign.png", FOREIGN)]
    monkeypatch.setattr(
        "moceir_edge.streaming.restore.open_path", lambda path, threads: Opened(path, Grey(), artifact=artifact)
    )
    result = restore(folder, pictures, folder / "out", tile=tile, force=True, say=said.append)
    return result, [text for text in said if "looks like none" in text]


@pytest.mark.parametrize("tile", [None, 72])
def test_restore_warns_of_the_foreign_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Artifact, tile: int | None
) -> None:
    """By name, with the figure and its limit; both pictures are written, and the result says which is which."""
    result, warnings = restored(monkeypatch, tmp_path, artifact, tile=tile)
    (warning,) = warnings
    assert warning.startswith(
        f"warning: {tmp_path / 'foreign.png'} looks like none of derain, which this model is for:"
    )
    found = result.guard[str(tmp_path / "foreign.png")]
    assert found.distance is not None
    assert warning.endswith(f"routing distance {found.distance:.2f}, limit {found.threshold:.2f}")
    assert [verdict.foreign for verdict in result.guard.values()] == [False, True]
    assert len(result.written) == 2


class Short(Grey):
    """Sees the first tile dark, and has no memory for the second one."""

    runs = 0

    def run(self, image: Image) -> Outputs:
        """As `Grey` does from the third on."""
        self.runs += 1
        if self.runs == 2:
            raise MemoryError
        outputs = super().run(image)
        return Outputs(image, 1.0, scores_of(FOREIGN)) if self.runs == 1 else outputs


@pytest.mark.parametrize("film", [False, True])
def test_what_ended_for_lack_of_memory_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Artifact, film: bool
) -> None:
    """Only the tiles of the attempt that gave the picture, or the frame, count."""
    (tmp_path / "in").mkdir()
    write_picture(Picture(np.full((3, 200, 200), OWN, np.float32)), tmp_path / "in" / "own.png")
    opened = Opened(tmp_path, Short(), artifact=artifact)
    monkeypatch.setattr("moceir_edge.streaming.restore.open_path", lambda path, threads: opened)
    said: list[str] = []
    result = restore(tmp_path, [tmp_path / "in"], tmp_path / "out", tile=192, sequence=film, say=said.append)
    assert any(text.startswith("memory is short for tiles of 192x192") for text in said)
    (found,) = result.guard.values()
    assert not found.foreign
    assert found.distance is not None
    assert found.distance < 0.5 * found.threshold


def test_an_artifact_from_before_the_rule_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Artifact
) -> None:
    """It is read and restores as ever."""
    old = artifact.model_dump(mode="json")
    del old["guard"]
    result, warnings = restored(monkeypatch, tmp_path, Artifact.model_validate(old))
    assert warnings == []
    assert result.guard == {}
    assert len(result.written) == 2


def test_evaluate_counts_and_warns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, artifact: Artifact) -> None:
    """Of haze, which is foreign in every picture, and not of rain."""
    for name, grey in (("derain", OWN), ("dehaze", FOREIGN)):
        for kind in ("input", "target"):
            (tmp_path / "data" / name / kind).mkdir(parents=True)
        picture(tmp_path / "data" / name / "input" / "1.png", grey)
        picture(tmp_path / "data" / name / "target" / "1.png", grey + 0.1)
        shutil.copyfile(tmp_path / "data" / name / "input" / "1.png", tmp_path / "data" / name / "input" / "2.png")
        picture(tmp_path / "data" / name / "target" / "2.png", grey + 0.2)
    said: list[str] = []
    monkeypatch.setattr(evaluating, "open_path", lambda path, threads: Opened(path, Grey(), artifact=artifact))
    monkeypatch.setattr(Opened, "sha256", "0" * 64)
    result = evaluate(tmp_path, tmp_path / "data", say=said.append)
    assert {row.task: row.foreign for row in result.sets} == {Task.DERAIN: 0, Task.DEHAZE: 2}
    (warning,) = said
    assert warning.startswith("warning: 2 of 2 pictures of dehaze look like none of derain, which this model is for:")
