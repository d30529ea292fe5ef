"""Filling the folder that becomes a bundle: an artifact, its golden pictures, a runner, and the manifest of it all."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from moceir_edge.artifacts import FILE_NAME, Artifact, FileEntry, Golden, artifact_sha256
from moceir_edge.bundling.archive import files_below, write_zipapp
from moceir_edge.bundling.fit import disk_bytes, needed_mib
from moceir_edge.bundling.golden_pairs import artifact_pairs, own_pairs, with_floors
from moceir_edge.bundling.manifest import ARTIFACT_FOLDER, BundleManifest, Needs
from moceir_edge.bundling.texts import RUN_SH, readme
from moceir_edge.device_profile import DeviceProfile, Runtime
from moceir_edge.device_result import RunnerName
from moceir_edge.errors import ArtifactError
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import resource

RUNNER_SOURCES = "runner"
OWN_PICTURES = "its golden pictures are the user's own, not public-domain ones: look before it is passed on"

MOST_NAMED = 2
"""Tasks that the name of a bundle spells out; of more it tells how many."""

LONGEST_DEVICE = 40
"""Letters of the device in the name."""


@dataclass(frozen=True)
class Request:
    """What is packed, for what; pictures and reference are both there or both None."""

    path: Path
    artifact: Artifact
    device: str
    profile: DeviceProfile
    runtime: Runtime
    pictures: Path | None
    reference: Path | None


def fill(folder: Path, request: Request) -> BundleManifest:
    """Everything but manifest and signature, written below an empty `folder`, and the manifest for it."""
    artifact, profile = request.artifact, request.profile
    _copy_artifact(request, folder / ARTIFACT_FOLDER)
    pairs, notes = _pairs(folder, request)
    golden, how = with_floors(pairs, artifact, folder)
    if profile.runner is RunnerName.PYTHON:
        write_zipapp(resource("devices") / RUNNER_SOURCES, folder / "runner.pyz")
        (folder / "run.sh").write_text(RUN_SH, encoding="utf-8")
    digest = artifact_sha256(request.path)
    manifest = BundleManifest(
        name=_name(artifact, request.device, digest),
        device=request.device,
        profile=profile,
        artifact_sha256=digest,
        target=artifact.target,
        precision=artifact.precision,
        tasks=artifact.tasks,
        runner=profile.runner,
        runner_version=version("moceir-edge"),
        needs=_needs(artifact, request.runtime, folder),
        golden=golden,
        files={},
        notes=(*notes, how),
    )
    (folder / "README.md").write_text(readme(manifest), encoding="utf-8")
    return manifest.model_copy(update={"files": _entries(folder)})


def _copy_artifact(request: Request, folder: Path) -> None:
    """What artifact.json names, and nothing that lies beside it by accident: a device would refuse the whole bundle."""
    for name in (FILE_NAME, *request.artifact.files):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(request.path / name, place)


def _pairs(folder: Path, request: Request) -> tuple[tuple[Golden, ...], tuple[str, ...]]:
    """Golden pairs, and what is to be noted of them."""
    if request.pictures is not None and request.reference is not None:
        return own_pairs(request.artifact, request.pictures, request.reference, folder), (OWN_PICTURES,)
    pairs = artifact_pairs(request.artifact)
    if not pairs:
        raise ArtifactError(f"{request.path} has no golden pictures", "export it again, or give --pictures")
    return pairs, ()


def _name(artifact: Artifact, device: str, digest: str) -> str:
    """Of the top folder: short, since an archive ends a path at 100 to 255 bytes."""
    tasks = "-".join(artifact.tasks) if len(artifact.tasks) <= MOST_NAMED else f"{len(artifact.tasks)}_tasks"
    return f"{tasks}-{re.sub(r'[^A-Za-z0-9_]+', '_', device)[:LONGEST_DEVICE]}-{digest[:8]}"


def _needs(artifact: Artifact, runtime: Runtime, folder: Path) -> Needs:
    return Needs(
        runtime=runtime.library,
        from_version=runtime.from_version,
        below_version=runtime.below_version,
        memory_mib=needed_mib(artifact),
        disk_bytes=disk_bytes(artifact, sum(entry.size_bytes for entry in _entries(folder).values())),
    )


def _entries(folder: Path) -> dict[str, FileEntry]:
    return {
        name: FileEntry(sha256=sha256_of_file(folder / name), size_bytes=(folder / name).stat().st_size)
        for name in files_below(folder)
    }
