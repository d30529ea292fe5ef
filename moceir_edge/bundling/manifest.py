"""What a bundle says of itself: manifest.json, and signature.json beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moceir_edge.artifacts import FileEntry, Golden
from moceir_edge.device_profile import DeviceProfile
from moceir_edge.device_result import RunnerName
from moceir_edge.records import Record
from moceir_edge.terms import Precision, TargetName

MANIFEST_VERSION = 1
MANIFEST_NAME, SIGNATURE_NAME = "manifest.json", "signature.json"
ARTIFACT_FOLDER = "artifact"


class Needs(Record):
    """What a device has to have.

    runtime, from_version, below_version: the library as the profile names it, null without a limit. memory_mib: for
    the smallest picture or tile that is served, null where it was not measured. disk_bytes: of everything unpacked,
    and of an engine that is built there.
    """

    runtime: str
    from_version: str | None
    below_version: str | None
    memory_mib: float | None
    disk_bytes: int


class BundledGolden(Golden):
    """A golden pair by its paths in the bundle; floor_db: least PSNR to the full model, null where it is not known."""

    floor_db: float | None


class BundleManifest(Record):
    """What manifest.json says: what the bundle is for, and hash and size of every other file but the signature.

    notes: what whoever makes the bundle should know.
    """

    schema_version: Annotated[int, Field(ge=1)] = MANIFEST_VERSION
    name: str
    device: str
    profile: DeviceProfile
    artifact_sha256: str
    target: TargetName
    precision: Precision
    tasks: tuple[str, ...]
    runner: RunnerName
    runner_version: str
    needs: Needs
    golden: tuple[BundledGolden, ...]
    files: dict[str, FileEntry]
    notes: tuple[str, ...] = ()


class Signature(Record):
    """Ed25519 over the bytes of manifest.json; both in Base64, of 32 and 64 bytes."""

    public_key: str
    signature: str
