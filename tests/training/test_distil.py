"""Distillation: what a student learns from a teacher, and what stays out of its run."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from moceir_edge.errors import InputError
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from tests.golden import SHARP, drawn_pictures, golden_network
from tests.training.short_runs import recipe, slim_model, steps

pytest.importorskip("lightning", reason="lightning is not installed")

from moceir_edge.training.distil import Teacher, feature_loss, features_of
from moceir_edge.training.folder import CHECKPOINT
from moceir_edge.training.module import Training
from moceir_edge.training.run import run_training

DISTIL = {"size": None, "distil": {"features": 0.5}}


@pytest.fixture(scope="module")
def teacher() -> LoadedModel:
    """A network with experts that matter."""
    return LoadedModel(golden_network("tiny", sharpness=SHARP), "teacher")


def test_a_distillation_in_two_parts_is_the_one_in_one(data: Path, tmp_path: Path, teacher: LoadedModel) -> None:
    """Bit for bit, and another one than without a teacher; with another teacher, or none, it does not go on."""
    student = slim_model(guarded=False)
    whole = run_training(recipe(**DISTIL), data, tmp_path / "whole", student=student, teacher=teacher)
    for count in (2, 4):
        asked = recipe(**DISTIL, **steps(count))
        parts = run_training(asked, data, tmp_path / "parts", student=student, teacher=teacher)
    alone = run_training(recipe(size=None), data, tmp_path / "alone", student=student)
    assert whole.sha256 == parts.sha256 != alone.sha256
    with pytest.raises(InputError, match="begun with another teacher, or with none"):
        run_training(recipe(**DISTIL), data, tmp_path / "parts", student=student, teacher=student)
    with pytest.raises(InputError, match="begun with another teacher, or with none"):
        run_training(recipe(size=None), data, tmp_path / "alone", student=student, teacher=teacher)


def test_a_teacher_stays_out_of_the_run(data: Path, tmp_path: Path, teacher: LoadedModel) -> None:
    """Of the optimizer, of checkpoints, of averages; it comes out as it went in."""
    before, student = teacher.sha256, slim_model(guarded=True)
    module = Training(student.network, recipe(), tmp_path, teacher=Teacher(teacher))
    learning = [p for group in module.configure_optimizers()["optimizer"].param_groups for p in group["params"]]
    assert len(learning) == len(list(module.parameters())) == len(list(student.network.parameters()))
    assert copy.deepcopy(module).teacher is module.teacher
    run_training(recipe(**DISTIL, **steps(2)), data, tmp_path / "run", student=student, teacher=teacher)
    content = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    assert content["state_dict"].keys() == {f"net.{name}" for name in student.network.state_dict()}
    assert teacher.sha256 == before


def test_who_equals_the_teacher_has_nothing_to_learn_from_it(teacher: LoadedModel) -> None:
    """Three levels down, latent, three up, refinement; features that are twice the teacher's cost 1."""
    pictures = drawn_pictures(2)
    taught = Teacher(teacher)(pictures)
    with torch.no_grad(), features_of(teacher.network) as features:
        restored = teacher.network(pictures)
    assert torch.equal(restored.image, taught.image)
    assert [tuple(one.shape[1:]) for one in features] == [
        *((16, 40, 48), (32, 20, 24), (64, 10, 12)),
        (128, 5, 6),
        *((64, 10, 12), (32, 20, 24), (16, 40, 48)),
        (16, 40, 48),
    ]
    assert float(feature_loss(features, taught.features)) == 0
    doubled = [2 * one for one in taught.features]
    assert float(feature_loss(doubled, taught.features)) == pytest.approx(1)
    assert not any(one.requires_grad for one in (taught.image, *taught.features))
    with features_of(teacher.network) as nothing:
        pass
    teacher.network(pictures)
    assert nothing == []


def test_the_parts_are_weighed_and_logged(tmp_path: Path, teacher: LoadedModel) -> None:
    """As the file says; without a target, only the teacher counts."""
    said = {"size": None, "distil": {"output": 2.0, "features": 0.5, "target": 0.0}, "loss": {"balance": 0.0}}
    pictures = drawn_pictures(2)
    batch = {"input": pictures, "target": 1 - pictures, "noise": torch.zeros(2, 5, 4)}
    batch = {**batch, "unreadable": ["", ""], "usable": torch.ones(2, dtype=torch.bool)}
    module = Training(slim_model(guarded=True).network, recipe(**said), tmp_path, teacher=Teacher(teacher))
    logged: dict[str, torch.Tensor] = {}
    module.log_dict = logged.update  # type: ignore[method-assign]
    total = module.training_step(batch, 0)  # type: ignore[arg-type]
    expected = 2 * logged["train/distil_output"] + 0.5 * logged["train/distil_features"]
    assert float(total.detach()) == pytest.approx(float(expected))
    assert float(logged["train/pixel"]) > 0 < float(logged["train/distil_features"])


def test_a_teacher_of_another_shape_is_refused(data: Path, tmp_path: Path, teacher: LoadedModel) -> None:
    """In plain words, as is a file that distils without one."""
    wide = MoceIR(build_architecture(32, (1, 1, 1), 1, (1, 1, 1), refinement_blocks=1))
    with pytest.raises(InputError, match=r"the teacher gives 32 channels in enc\.0, the student 16"):
        run_training(recipe(**DISTIL), data, tmp_path / "run", student=teacher, teacher=LoadedModel(wide, "wide"))
    with pytest.raises(InputError, match="says distil, and there is no teacher"):
        run_training(recipe(**DISTIL), data, tmp_path / "run", student=teacher)
    assert not (tmp_path / "run").exists()
