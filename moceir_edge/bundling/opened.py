"""Opening a bundle on this side, by the runner's own code: what a device refuses is refused here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from moceir_edge.bundling.manifest import MANIFEST_NAME, BundleManifest
from moceir_edge.errors import ArtifactError
from moceir_edge.resources import resource


def open_bundle(path: Path, folder: Path, *, public_key: Path | None = None) -> BundleManifest:
    """Unpack into `folder`/<name of the bundle>; ArtifactError, and nothing written, where anything in it is wrong.

    public_key: of whoever has to have signed it, in PEM; None takes it unsigned, too.
    """
    require = [] if public_key is None else ["--require-signature", str(public_key)]
    command = [sys.executable, "-I", "-B", str(resource("devices") / "runner"), "unpack", *require]
    ended = subprocess.run([*command, "--", str(path), str(folder)], check=False, capture_output=True, text=True)
    if ended.returncode != 0:
        said = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        what, _, remedy = said.removeprefix("error: ").rpartition("; ")
        raise ArtifactError(what or said, remedy if what else "make the bundle again")
    return BundleManifest.read(Path(ended.stdout.strip()) / MANIFEST_NAME)
