"""Runs that start from weights: of a file, or of a network that is brought along, whatever is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from moceir_edge.errors import CheckpointError, DataError, InputError
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.terms import Task
from tests.golden import golden_network
from tests.training.short_runs import WATCHED, equal, recipe, slim_model, steps, weights

pytest.importorskip("lightning", reason="lightning is not installed")

from moceir_edge.training.folder import CHECKPOINT, HISTORY, MODEL, PUBLISHED, Begun
from moceir_edge.training.initial import network_of
from moceir_edge.training.run import run_training

FROM_FILE = {"size": None, "start": "start.safetensors"}


def test_a_run_starts_from_weights_and_is_resumed_with_no_others(data: Path, tmp_path: Path) -> None:
    """One step away from them, not from chance; other weights in the file are refused, and so is its absence."""
    start, out = data / "start.safetensors", tmp_path / "run"
    golden = LoadedModel(golden_network("tiny"), "golden", {"tasks": ["derain"], "training": {"steps": 7}})
    save(golden, start)
    one = recipe(**FROM_FILE, schedule={"steps": 1, "warmup": 0, "cosine": 4, "rate": 1e-6}, ema=None)
    run_training(one, data, out)
    before, after = golden.network.state_dict(), weights(out / MODEL)
    assert not equal(before, after)
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before if "complexity" not in name)
    made = load(out / MODEL).provenance
    assert made["tasks"] == ["derain"]
    assert (made["training"]["steps"], made["training"]["before"]) == (1, {"steps": 7})
    assert made["training"]["start_sha256"] == golden.sha256 == Begun.read(out / "training.json").start_sha256
    save(LoadedModel(golden_network("tiny", sharpness=2.0), "other"), start)
    with pytest.raises(InputError, match="run was begun from other weights; start from those of before"):
        run_training(one, data, out)
    start.unlink()
    with pytest.raises(CheckpointError, match=r"start\.safetensors: no such file"):
        run_training(one, data, out)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_slim_network_is_trained_in_two_parts_as_in_one(data: Path, tmp_path: Path, guarded: bool) -> None:
    """Few experts, none, one: it stays as slim, is validated, and is left as it was; no published file holds it."""
    student = slim_model(guarded=guarded)
    before = student.sha256
    asked = {"size": None, "expert_share": 0.5, **WATCHED}
    whole = run_training(recipe(**asked), data, tmp_path / "whole", student=student)
    for count in (2, 4):
        parts = run_training(recipe(**asked, **steps(count)), data, tmp_path / "parts", student=student)
    assert parts.sha256 == whole.sha256 != student.sha256 == before
    made = load(whole.model)
    assert made.architecture == student.architecture
    assert made.provenance["tasks"] == ["derain"]
    assert whole.psnr["derain"] > 0
    assert ("routing/" in (tmp_path / "whole" / HISTORY).read_text()) is guarded
    assert (tmp_path / "whole" / CHECKPOINT).exists()
    assert not (tmp_path / "whole" / PUBLISHED).exists()


def test_only_a_choice_is_balanced() -> None:
    """The first layer's, between its two experts: routers that never choose the two others are not told to."""
    network = network_of(slim_model(guarded=True), complexity=True)
    routers = [layer.adapter.routing for level in network.dec for layer in level[2].layers]
    assert [router.balanced for router in routers] == [(1, 3), (), (2,), (2,), (0,)]
    logits = torch.tensor([[9.0, 1.0, 0.0, 1.0], [9.0, 1.0, 0.0, 1.0]])
    assert float(routers[1].balance(logits, logits)) == float(routers[2].balance(logits, logits)) == 0
    uneven = torch.tensor([[0.0, 5.0, 0.0, 1.0], [0.0, 5.0, 0.0, 1.0]])
    losses = [float(routers[0].balance(given, given)) for given in (logits, logits[:, [1, 1, 0, 3]], uneven)]
    assert losses[0] == losses[1] < losses[2]


def test_complexity_is_that_of_the_recipe() -> None:
    """Whatever the weights were trained with; where experts are gone, their sizes are those in the file."""
    model = LoadedModel(network_of(LoadedModel(golden_network("tiny"), "golden"), complexity=False), "even")
    for complexity in (True, False):
        buffers = dict(network_of(model, complexity=complexity).named_buffers())
        weighed = [buffer for name, buffer in buffers.items() if name.endswith("complexity")]
        assert all(bool((buffer == 1).all()) is not complexity for buffer in weighed)


def test_no_network_is_said_in_plain_words(data: Path, tmp_path: Path) -> None:
    """By a file with neither size nor start, unless a network is brought along."""
    with pytest.raises(InputError, match="names no network: neither size nor start"):
        run_training(recipe(size=None), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_for_some_tasks_takes_no_pictures_of_others(data: Path, tmp_path: Path) -> None:
    """Folders of the others may be missing; the tasks belong to the run."""
    said: list[str] = []
    (data / "clean").rename(data / "elsewhere")
    run_training(recipe(**steps(2)), data, tmp_path / "run", tasks=[Task.DERAIN], say=said.append)
    assert "6 samples in a pass" in said
    with pytest.raises(DataError, match="no training picture for deblur"):
        run_training(recipe(), data, tmp_path / "none", tasks=[Task.DEBLUR])
    (data / "elsewhere").rename(data / "clean")
    with pytest.raises(InputError, match="begun for other tasks"):
        run_training(recipe(**steps(2)), data, tmp_path / "run", tasks=[Task.DERAIN, Task.DENOISE_25])
    with pytest.raises(DataError, match="no picture to validate denoise_25 on"):
        run_training(recipe(**WATCHED), data, tmp_path / "other", tasks=[Task.DENOISE_25])
