"""What becomes of an artifact once its gates have spoken."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, artifact_sha256
from moceir_edge.parity.verify import Verification
from moceir_edge.records import Record
from moceir_edge.terms import GateState


class ArtifactOutcome(Record):
    """An artifact of a run: where it is, its hash, and whether its gates passed."""

    recipe: str
    folder: str
    sha256: str
    passed: bool
    verified: bool
    failed_gates: tuple[str, ...]
    not_run: tuple[str, ...]
    unverified: tuple[str, ...]


def judged_artifact(artifact: Artifact, verification: Verification) -> Artifact:
    """The artifact with its gates; verified only where its runtime executed it and every gate passed."""
    proofs = artifact.proofs
    if verification.executed_by:
        executed = Proof(state=GateState.PASSED, reason=f"{verification.executed_by}, on the judging pictures")
        proofs = proofs.model_copy(update={"executed": executed})
    passed = all(gate.state is GateState.PASSED for gate in verification.gates)
    verified = bool(verification.executed_by) and passed
    return artifact.model_copy(update={"gates": verification.gates, "proofs": proofs, "verified": verified})


def outcome_of(name: str, folder: Path, artifact: Artifact, verification: Verification) -> ArtifactOutcome:
    """What a run says of an artifact."""
    return ArtifactOutcome(
        recipe=name,
        folder=str(folder),
        sha256=artifact_sha256(folder),
        passed=not verification.failed,
        verified=artifact.verified,
        failed_gates=tuple(gate.text for gate in verification.failed),
        not_run=tuple(gate.text for gate in verification.gates if gate.state is GateState.NOT_RUN),
        unverified=verification.unverified,
    )
