"""`bundle`: an artifact, a device profile and a runner as one file.

The same bytes for the same input, on one machine with the same versions of this package and of the compressor (zlib).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from moceir_edge.artifacts import read_artifact
from moceir_edge.bundling.archive import write_archive
from moceir_edge.bundling.filling import Request, fill
from moceir_edge.bundling.fit import fitting_runtime
from moceir_edge.bundling.manifest import MANIFEST_NAME, SIGNATURE_NAME, BundledGolden, BundleManifest
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.bundling.signing import read_key, signature_of
from moceir_edge.device_profile import profile_name, read_device_profile
from moceir_edge.errors import ArtifactError, InputError, OutputError
from moceir_edge.records import Record, refuse_existing, replacing_file, scratch_folder, sha256_of_file

SUFFIX = ".tar.gz"


class Bundled(Record):
    """A bundle that was written.

    path: of the file; sha256: of the manifest, by which results name the bundle; file_sha256: of the file itself.
    files: how many there are in it, without manifest and signature.
    """

    path: str
    sha256: str
    file_sha256: str
    size_bytes: int
    name: str
    files: int
    signed: bool
    golden: tuple[BundledGolden, ...]
    notes: tuple[str, ...]


def bundle(
    artifact: Path,
    device: str,
    out: Path,
    *,
    sign: Path | None = None,
    pictures: Path | None = None,
    reference: Path | None = None,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Bundled:
    """Pack an artifact for a device.

    device: name or file of a device profile. sign: private Ed25519 key in PEM. pictures, reference: golden pictures of
    one's own, and the MODEL that the artifact was made from. ArtifactError where the device does not run the artifact.
    """
    if (pictures is None) is not (reference is None):
        raise InputError("--pictures and --reference go together", "give both, or none")
    if not out.name.endswith(SUFFIX):
        raise OutputError(f"{out}: a bundle is a {SUFFIX}", f"end the name in {SUFFIX}")
    refuse_existing(out, force=force)
    key = None if sign is None else read_key(sign)
    described, profile, name = read_artifact(artifact), read_device_profile(device), profile_name(device)
    runtime = fitting_runtime(artifact, described, name, profile)
    if not described.verified:
        say(f"warning: {artifact} is not verified")
    request = Request(artifact, described, name, profile, runtime, pictures, reference)
    with scratch_folder() as scratch:
        manifest = fill(scratch / "bundle", request)
        manifest.write(scratch / "bundle" / MANIFEST_NAME)
        if key is not None:
            signature = signature_of((scratch / "bundle" / MANIFEST_NAME).read_bytes(), key)
            signature.write(scratch / "bundle" / SIGNATURE_NAME)
        with replacing_file(out) as temporary:
            write_archive(scratch / "bundle", manifest.name, temporary)
            _require_openable(temporary, scratch / "opened", artifact)
        sha256 = sha256_of_file(scratch / "bundle" / MANIFEST_NAME)
    return _bundled(out, manifest, sha256, signed=key is not None)


def _require_openable(bundle: Path, folder: Path, artifact: Path) -> None:
    """By the rules of the runner, before the bundle gets its name: ArtifactError for what every device would refuse."""
    try:
        open_bundle(bundle, folder)
    except ArtifactError as error:
        what = error.what.replace(f"{bundle}: ", "")
        raise ArtifactError(f"{artifact}: no device would open its bundle: {what}", "export it again") from error


def _bundled(out: Path, manifest: BundleManifest, sha256: str, *, signed: bool) -> Bundled:
    return Bundled(
        path=str(out),
        sha256=sha256,
        file_sha256=sha256_of_file(out),
        size_bytes=out.stat().st_size,
        name=manifest.name,
        files=len(manifest.files),
        signed=signed,
        golden=manifest.golden,
        notes=manifest.notes,
    )
