"""A device's result as a proof of its artifact."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from moceir_edge.artifacts import artifact_sha256, read_artifact
from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import InputError
from moceir_edge.profiling.confirming import confirm
from moceir_edge.terms import GateState
from tests.profiling.results import result


@pytest.fixture
def artifact(made_artifact: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return copytree(made_artifact, tmp_path / "artifact")


def of(artifact: Path, **changed: Any) -> ProfileResult:
    """A result of an artifact."""
    return result([10.0] * 20).model_copy(update={"artifact_sha256": artifact_sha256(artifact), **changed})


def test_what_a_device_ran_is_noted(artifact: Path) -> None:
    """With the device, the pictures and the time; the artifact stays the same one."""
    before = artifact_sha256(artifact)
    confirm(artifact, of(artifact))
    proof = read_artifact(artifact).proofs.executed_on_device
    assert proof.state is GateState.PASSED
    assert "median 10.0 ms" in proof.reason
    assert artifact_sha256(artifact) == before


def test_a_device_that_gives_other_pictures_is_noted_too(artifact: Path) -> None:
    """As failed."""
    good = of(artifact)
    worse = good.accuracy[0].model_copy(update={"psnr_db": 20.0, "floor_db": 40.0})
    confirm(artifact, good.model_copy(update={"accuracy": (worse,)}))
    assert read_artifact(artifact).proofs.executed_on_device.state is GateState.FAILED


def test_emulators_and_runs_without_pictures_prove_nothing(artifact: Path) -> None:
    """And say why."""
    good = of(artifact)
    emulated = good.model_copy(update={"device": good.device.model_copy(update={"emulated": True})})
    assert confirm(artifact, emulated) == "an emulator ran it, no device"
    assert confirm(artifact, good.model_copy(update={"accuracy": ()})) == "no golden picture was compared"
    assert read_artifact(artifact).proofs.executed_on_device.state is GateState.NOT_RUN


def test_a_result_of_another_artifact_is_refused(artifact: Path) -> None:
    """By both hashes."""
    with pytest.raises(InputError, match="the result is of artifact 000000000000"):
        confirm(artifact, of(artifact, artifact_sha256="0" * 64))
