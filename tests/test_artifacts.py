"""The hash of an artifact: what it is, not how a machine ran it; and that its parts fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moceir_edge.artifacts import FILE_NAME, Artifact, Proof, Proofs, artifact_sha256, file_entries, read_artifact
from moceir_edge.errors import ArtifactError
from moceir_edge.guarding import GuardRule
from moceir_edge.memory import Memory
from moceir_edge.program.lower import lower
from moceir_edge.terms import GateState
from tests.targets.fake import TARGET
from tests.targets.networks import exported, recipe, small_network


def written(folder: Path) -> Artifact:
    """A small artifact."""
    artifact = exported(TARGET, lower(small_network()), recipe("onnx"), folder)
    artifact = artifact.model_copy(update={"files": file_entries(folder)})
    artifact.write(folder / FILE_NAME)
    return artifact


def test_measured_memory_is_no_part_of_the_hash(tmp_path: Path) -> None:
    """It differs from run to run; everything else that artifact.json says counts."""
    artifact, hashes = written(tmp_path), []
    for changed in ({}, {"memory_base_mib": 50.0, "memory_mib_per_megapixel": 900.0}, {"tasks": ("dehaze",)}):
        artifact.model_copy(update=changed).write(tmp_path / FILE_NAME)
        hashes.append(artifact_sha256(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_later_proofs_are_no_part_of_the_hash(tmp_path: Path) -> None:
    """What is known of an artifact since does not make it another one; that it was executed here does."""
    artifact, hashes = written(tmp_path), []
    passed = Proof(state=GateState.PASSED, reason="on Arm kernels")
    later = (Proofs(emulated=passed), Proofs(executed_on_device=passed))
    for changed in (Proofs(), *later, Proofs(executed=passed)):
        artifact.model_copy(update={"proofs": changed}).write(tmp_path / FILE_NAME)
        hashes.append(artifact_sha256(tmp_path))
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


def test_every_file_is_part_of_the_hash(tmp_path: Path) -> None:
    """That artifact.json names; what an operating system leaves in folders makes it no other artifact."""
    artifact = written(tmp_path)
    before = artifact_sha256(tmp_path)
    (tmp_path / ".DS_Store").write_text("more")
    assert artifact_sha256(tmp_path) == before
    (tmp_path / artifact.model).write_bytes((tmp_path / artifact.model).read_bytes() + b"?")
    assert artifact_sha256(tmp_path) != before


def test_memory_is_known_where_it_was_measured(tmp_path: Path) -> None:
    """Both numbers or nothing."""
    artifact = written(tmp_path)
    assert artifact.memory is None
    measured = artifact.model_copy(update={"memory_base_mib": 50.0, "memory_mib_per_megapixel": 900.0})
    assert measured.memory == Memory(base_mib=50, mib_per_megapixel=900)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"pictures": [[0.0] * 3]}, "its guard is of other routers"),
        ({"pictures": [[0.0] * 2, [0.0] * 3]}, "its pictures are not of one length"),
        ({"neighbours": 2}, "2 neighbours are more than its pictures"),
        ({"threshold": -1.0}, "guard.threshold"),
    ],
)
def test_a_guard_that_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    """Before anything is judged by it; one that fits is read again as it was."""
    rule = GuardRule(
        pictures=((0.0,) * 2,), neighbours=1, floor=1e-3, threshold=0.5, false_alarms=0.05, left_out_false_alarms=None
    )
    artifact = written(tmp_path)
    artifact = artifact.model_copy(update={"guard": rule, "files": file_entries(tmp_path)})
    artifact.write(tmp_path / FILE_NAME)
    assert read_artifact(tmp_path).guard == rule
    facts = artifact.model_dump(mode="json")
    facts["guard"] |= changed
    (tmp_path / FILE_NAME).write_text(json.dumps(facts))
    with pytest.raises(ArtifactError, match=problem):
        read_artifact(tmp_path)
