"""The hash of an artifact: what it is, not how a machine ran it."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.artifacts import FILE_NAME, Artifact, Proof, Proofs, artifact_sha256
from moceir_edge.memory import Memory
from moceir_edge.program.lower import lower
from moceir_edge.terms import GateState
from tests.targets.fake import TARGET
from tests.targets.networks import exported, recipe, small_network


def written(folder: Path) -> Artifact:
    """A small artifact."""
    artifact = exported(TARGET, lower(small_network()), recipe("onnx"), folder)
    artifact.write(folder / FILE_NAME)
    return artifact


def test_measured_memory_is_no_part_of_the_hash(tmp_path: Path) -> None:
    """It differs from run to run; everything else that artifact.json says counts."""
    artifact, hashes = written(tmp_path), []
    for changed in ({}, {"memory_base_mib": 50.0, "memory_mib_per_megapixel": 900.0}, {"tasks": ("dehaze",)}):
        artifact.model_copy(update=changed).write(tmp_path / FILE_NAME)
        hashes.append(artifact_sha256(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_later_proof_of_emulation_is_no_part_of_the_hash(tmp_path: Path) -> None:
    """What is known of an artifact since does not make it another one; that it was executed does."""
    artifact, hashes = written(tmp_path), []
    passed = Proof(state=GateState.PASSED, reason="on Arm kernels")
    for changed in (Proofs(), Proofs(emulated=passed), Proofs(executed=passed)):
        artifact.model_copy(update={"proofs": changed}).write(tmp_path / FILE_NAME)
        hashes.append(artifact_sha256(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2]


def test_every_file_is_part_of_the_hash(tmp_path: Path) -> None:
    """Also one that artifact.json does not name."""
    written(tmp_path)
    before = artifact_sha256(tmp_path)
    (tmp_path / "more.txt").write_text("more")
    assert artifact_sha256(tmp_path) != before


def test_memory_is_known_where_it_was_measured(tmp_path: Path) -> None:
    """Both numbers or nothing."""
    artifact = written(tmp_path)
    assert artifact.memory is None
    measured = artifact.model_copy(update={"memory_base_mib": 50.0, "memory_mib_per_megapixel": 900.0})
    assert measured.memory == Memory(base_mib=50, mib_per_megapixel=900)
