"""What goes to a device: a bundle that was looked at here first, and its runner, which unpacks it there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.bundling.manifest import MANIFEST_NAME, SIGNATURE_NAME, BundleManifest, Signature
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.device_result import RunnerName
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.place import Adb, Place
from moceir_edge.records import sha256_of_file

RUNNER_FILE = "runner.pyz"
BUNDLE_FILE = "bundle.tar.gz"
KEY_FILE = "public.pem"

RESULT_BYTES = 4 << 20
"""Room for a result, the system's blocks, and what a runtime writes."""


@dataclass(frozen=True)
class Cargo:
    """A bundle and what a visit has to know of it.

    bundle_sha256: of its manifest, as results name it. file_sha256: of the file that is sent. runner: the unpacked
    runner, None where the device has an app. public_key, signed_by: who had to have signed it, as a PEM file and in
    base64; None where nobody had to.
    """

    bundle: Path
    manifest: BundleManifest
    bundle_sha256: str
    file_sha256: str
    unpacked_bytes: int
    runner: Path | None
    public_key: Path | None
    signed_by: str | None

    @property
    def size_bytes(self) -> int:
        """Of the file that is sent."""
        return self.bundle.stat().st_size

    @property
    def needed_bytes(self) -> int:
        """Room on the device: the file, everything in it, and a result."""
        return self.size_bytes + max(self.manifest.needs.disk_bytes, self.unpacked_bytes) + RESULT_BYTES


@contextmanager
def opened_cargo(bundle: Path, *, public_key: Path | None = None) -> Iterator[Cargo]:
    """Look at a bundle, for the time of the block; ArtifactError where it is not whole, or not signed as required."""
    with tempfile.TemporaryDirectory(prefix="moceir-edge-") as name:
        folder = Path(name)
        manifest = open_bundle(bundle, folder, public_key=public_key)
        unpacked = folder / manifest.name
        runner = unpacked / RUNNER_FILE
        yield Cargo(
            bundle=bundle,
            manifest=manifest,
            bundle_sha256=sha256_of_file(unpacked / MANIFEST_NAME),
            file_sha256=sha256_of_file(bundle),
            unpacked_bytes=sum(path.stat().st_size for path in unpacked.rglob("*") if path.is_file()),
            runner=runner if runner.is_file() else None,
            public_key=public_key,
            signed_by=None if public_key is None else _signed_by(unpacked),
        )


def _signed_by(unpacked: Path) -> str:
    """The public key that the signature names, in base64; opening the bundle has compared it with the required one."""
    return Signature.read(unpacked / SIGNATURE_NAME).public_key


def require_runner(cargo: Cargo, place: Place) -> None:
    """DeviceError where the bundle's runner is not one that a visit to such a place starts."""
    wanted = RunnerName.ANDROID if isinstance(place, Adb) else RunnerName.PYTHON
    runner = cargo.manifest.runner
    if runner is wanted and (cargo.runner is not None or wanted is RunnerName.ANDROID):
        return
    what = f"{place}: the bundle is for {cargo.manifest.device}, whose runner is {runner}, not {wanted}"
    raise DeviceError(what, "bundle the artifact for this device: moceir-edge bundle ARTIFACT --device NAME")
