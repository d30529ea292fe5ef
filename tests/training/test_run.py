"""Whole training runs of the small network: resumed, killed, spread over processes, and stopped by what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from moceir_edge.errors import DataError, InputError, MissingBackendError, OutputError, PictureError
from tests.training.short_runs import WATCHED, equal, recipe, steps, weights

pytest.importorskip("lightning", reason="lightning is not installed")

from moceir_edge.training import run
from moceir_edge.training.folder import CHECKPOINT, HISTORY, MODEL, PUBLISHED
from moceir_edge.training.initial import fresh_network, raise_experts
from moceir_edge.training.losses import frequency_loss, pixel_loss
from moceir_edge.training.module import Training, rate_share
from moceir_edge.training.recipe import Schedule
from moceir_edge.training.run import run_training


@pytest.mark.parametrize("fields", [{}, {"accumulate": 2, "ema": None}, {"expert_share": 0.5, "workers": 1}])
def test_a_run_in_two_parts_is_the_run_in_one(data: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    """The same weights, bit for bit, and other ones than after the first part."""
    whole = run_training(recipe(**fields), data, tmp_path / "whole")
    run_training(recipe(**fields, **steps(2)), data, tmp_path / "parts")
    first = weights(tmp_path / "parts" / MODEL)
    said: list[str] = []
    parts = run_training(recipe(**fields), data, tmp_path / "parts", say=said.append)
    assert said[0].startswith("going on")
    assert (whole.steps, parts.steps) == (4, 4)
    assert whole.sha256 == parts.sha256
    assert not equal(first, weights(tmp_path / "parts" / MODEL))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_is_killed_between_checkpoints_goes_on_as_if_it_had_not_been(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    """The same weights, and validation in the same steps."""
    asked = recipe(**WATCHED, **steps(6), accumulate=accumulate)
    whole = run_training(asked, data, tmp_path / "whole")
    learn = Training.training_step

    def killed(self: Training, batch: Any, index: int) -> torch.Tensor:
        if self.trainer.global_step == 5:
            raise ConnectionError("as if the power had gone")
        return learn(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "training_step", killed)
        with pytest.raises(ConnectionError):
            run_training(asked, data, tmp_path / "parts")
    said: list[str] = []
    parts = run_training(asked, data, tmp_path / "parts", say=said.append)
    assert "step 4 of 6" in said[0]
    assert whole.sha256 == parts.sha256
    lines = [(tmp_path / name / HISTORY).read_text() for name in ("whole", "parts")]
    assert lines[0] == lines[1]
    assert [json.loads(line)["step"] for line in lines[1].splitlines()] == [2, 4, 6]


def test_a_finished_run_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    """Asked again, or for fewer steps, it gives the averaged weights and what was validated."""
    first = run_training(recipe(**WATCHED), data, tmp_path / "run")
    again = run_training(recipe(**WATCHED), data, tmp_path / "run")
    assert (again.sha256, again.steps, again.psnr) == (first.sha256, first.steps, first.psnr)


def test_checkpoints_are_those_of_the_published_code(data: Path, tmp_path: Path) -> None:
    """`last.ckpt` and `model.ckpt` hold the averaged network under `net.`, and load like any published one."""
    run_training(recipe(), data, tmp_path / "run")
    ours = weights(tmp_path / "run" / MODEL)
    for name in (CHECKPOINT, PUBLISHED):
        assert equal(ours, weights(tmp_path / "run" / name))
        state = torch.load(tmp_path / "run" / name, weights_only=False)["state_dict"]
        assert all(key.startswith("net.") for key in state)


def test_validation_tells_of_every_task_and_expert(data: Path, tmp_path: Path) -> None:
    """PSNR and shares of the experts, in the history and in TensorBoard's log."""
    result = run_training(recipe(**WATCHED), data, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert result.psnr["derain"] == pytest.approx(lines[-1]["psnr/derain"], abs=1e-3)
    shares = [lines[-1][f"routing/derain/layer0/expert{expert}"] for expert in range(4)]
    assert sum(shares) == pytest.approx(1)
    assert list((tmp_path / "run" / "log").glob("events*"))


def test_another_run_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    """Another batch, other pictures; a folder that is none; the number of steps may grow."""
    run_training(recipe(**steps(2)), data, tmp_path / "run")
    assert run_training(recipe(**steps(3)), data, tmp_path / "run").steps == 3
    with pytest.raises(InputError, match="another batch: 2, not 3"):
        run_training(recipe(batch=3), data, tmp_path / "run")
    with pytest.raises(InputError, match='another size: "tiny", not "S"'):
        run_training(recipe(size="S"), data, tmp_path / "run")
    with pytest.raises(OutputError, match="no training run"):
        run_training(recipe(), data, data)
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(data / "clean" / "3.png")
    with pytest.raises(InputError, match="other training pictures"):
        run_training(recipe(**steps(2)), data, tmp_path / "run")


def test_nothing_that_is_learned_may_judge(data: Path, tmp_path: Path) -> None:
    """By name, before anything is written; damaged pictures and too few of them, too."""
    same = {"validation": {"folder": ".", "tasks": ["derain"], "pictures": 1}}
    with pytest.raises(DataError, match="trained on and would judge"):
        run_training(recipe(**same), data, tmp_path / "run")
    for path in (data / "judge" / "derain" / "input").iterdir():
        path.write_bytes(b"\x89PNG damaged")
    with pytest.raises(PictureError):
        run_training(recipe(**WATCHED), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_keeps_the_batch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the checkpoint before it."""
    run_training(recipe(**steps(2)), data, tmp_path / "run")
    monkeypatch.setattr("moceir_edge.training.module.pixel_loss", lambda *_: torch.tensor(float("nan")))
    with pytest.raises(InputError, match="step 2; the batch is in"):
        run_training(recipe(), data, tmp_path / "run")
    batch = torch.load(tmp_path / "run" / "bad-batch-0.pt")
    assert batch["input"].shape == (2, 3, 32, 32)
    assert equal(weights(tmp_path / "run" / MODEL), weights(tmp_path / "run" / CHECKPOINT))


def test_damaged_pictures_are_skipped_up_to_a_limit(data: Path, tmp_path: Path) -> None:
    """And listed in the result; one more ends the run with their names."""
    (data / "clean" / "0.png").write_bytes(b"\x89PNG damaged")
    result = run_training(recipe(), data, tmp_path / "run")
    assert any("clean/0.png" in line for line in result.unreadable)
    with pytest.raises(InputError, match="cannot be used, 0 may be"):
        run_training(recipe(unreadable=0), data, tmp_path / "other")
    for folder in ("clean", "derain/input"):
        for path in (data / folder).iterdir():
            path.write_bytes(b"\x89PNG damaged")
    with pytest.raises(DataError, match="in a row cannot be used"):
        run_training(recipe(workers=1), data, tmp_path / "none")


def test_a_full_disk_keeps_the_checkpoint_before(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in one line."""
    run_training(recipe(**steps(2)), data, tmp_path / "run")
    kept = weights(tmp_path / "run" / CHECKPOINT)

    def fail(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.pl.Trainer, "save_checkpoint", fail)
    with pytest.raises(OutputError, match="the disk is full"):
        run_training(recipe(), data, tmp_path / "run")
    assert equal(kept, weights(tmp_path / "run" / CHECKPOINT))
    assert not list((tmp_path / "run").glob(".last*"))


def test_missing_lightning_has_a_repair(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written."""
    from moceir_edge.training import start

    monkeypatch.setattr(start, "find_spec", lambda name: None if name == "lightning" else object())
    with pytest.raises(MissingBackendError, match="lightning not installed"):
        start.train("tiny", tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_rate_rises_and_falls() -> None:
    """0 at the start, 1 after the warm-up, half of it halfway, 0 at the end."""
    schedule = Schedule(steps=100, warmup=10, cosine=110)
    assert [round(rate_share(step, schedule), 6) for step in (0, 5, 10, 60, 110, 500)] == [0, 0.5, 1, 0.5, 0, 0]


def test_frequency_loss_takes_real_and_imaginary_parts_as_elements() -> None:
    """Of the unnormalized transform; equal pictures cost nothing."""
    one, other = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    difference = np.fft.rfft2((one - other).double().numpy())
    expected = (np.abs(difference.real).mean() + np.abs(difference.imag).mean()) / 2
    assert frequency_loss(one, other).item() == pytest.approx(expected, rel=1e-5)
    assert frequency_loss(one, one) == pixel_loss(one, one) == 0


def test_experts_add_what_they_are_asked_to() -> None:
    """By default they start at some thousandths of their shortcut."""
    network = fresh_network("tiny", seed=0, complexity=True)
    images = torch.rand(2, 3, 32, 32)
    before = raise_experts(network, images, share=0.5)
    assert len(before) == 20
    assert max(before.values()) < 0.1
    again = raise_experts(network, images, share=0.5)
    assert all(share == pytest.approx(0.5, rel=0.2) for share in again.values())


def test_complexity_can_be_turned_off() -> None:
    """Then every expert's use counts the same."""
    for complexity in (True, False):
        network = fresh_network("tiny", seed=0, complexity=complexity)
        weighed = [b for name, b in network.named_buffers() if name.endswith("complexity")]
        assert all(bool((buffer == 1).all()) is not complexity for buffer in weighed)


SCRIPT = """
import json, sys
from pathlib import Path
from moceir_edge.training import module
from moceir_edge.training.recipe import TrainingRecipe
from moceir_edge.training.run import run_training

losses = []
step = module.Training.training_step

def spy(self, batch, index):
    loss = step(self, batch, index)
    losses.append(self.trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean").item())
    return loss

module.Training.training_step = spy
recipe = TrainingRecipe.model_validate_json(Path(sys.argv[1]).read_text())
run_training(recipe, Path(sys.argv[2]), Path(sys.argv[3]))
Path(sys.argv[3] + ".json").write_text(json.dumps(losses))
"""


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(data: Path, tmp_path: Path) -> None:
    """Ten steps with the balance over the global batch, within 1e-5; without a word about what torch gives up."""
    (tmp_path / "script.py").write_text(SCRIPT)
    ten = {"steps": 10, "warmup": 2, "cosine": 20, "rate": 1e-3}
    found = []
    for processes, batch in ((1, 4), (2, 2)):
        said = recipe(batch=batch, schedule=ten, loss={"scope": "global"}, checkpoint_every=100)
        path, out = tmp_path / f"{processes}.recipe", tmp_path / f"run{processes}"
        path.write_text(said.model_dump_json())
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(launch if processes > 1 else []), str(tmp_path / "script.py")]
        done = subprocess.run(
            [*command, str(path), str(data), str(out)], check=False, timeout=600, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "FutureWarning" not in done.stderr
        found.append(json.loads(Path(f"{out}.json").read_text()))
    assert len(found[0]) == 10
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
