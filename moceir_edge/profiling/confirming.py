"""What a device's result proves of the artifact that it ran."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.artifacts import Proof, artifact_sha256, record_proof
from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import InputError
from moceir_edge.terms import GateState


def confirm(folder: Path, result: ProfileResult) -> Proof | str:
    """Write into artifact.json that a device executed it, or say why the result proves nothing of that.

    InputError where the result is of another artifact.
    """
    found = artifact_sha256(folder)
    if result.artifact_sha256 != found:
        what = f"the result is of artifact {result.artifact_sha256[:12]}, and {folder} is {found[:12]}"
        raise InputError(what, "give the artifact that was bundled")
    proof = proof_of(result)
    if not isinstance(proof, str):
        record_proof(folder, "executed_on_device", proof)
    return proof


def proof_of(result: ProfileResult) -> Proof | str:
    """Passed where every golden picture is what the bundle promises; a text where nothing was proven."""
    if result.device.emulated:
        return "an emulator ran it, no device"
    if not result.accuracy:
        return "no golden picture was compared"
    known = [golden.psnr_db for golden in result.accuracy if golden.psnr_db is not None]
    worst = f", {min(known):.1f} dB from the full model at worst" if known else ""
    median = result.latency.percentiles.p50.value
    timed = f"median {median:.1f} ms" if result.valid else "times do not count"
    ran = f"{result.device.model}, {result.runtime.name} {result.runtime.version} ({result.runtime.provider})"
    pictures = f"{len(result.accuracy)} golden pictures{worst}"
    state = GateState.PASSED if result.passed else GateState.FAILED
    return Proof(state=state, reason=f"{ran}, {result.started_utc}: {pictures}; {timed}")
