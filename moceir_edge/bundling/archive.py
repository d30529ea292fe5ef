"""Archives whose bytes depend on nothing but the files in them: no times, no owners, names in order."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from moceir_edge.errors import ArtifactError

EXECUTABLE = ("run.sh", "runner.pyz")
SHEBANG = b"#!/usr/bin/env python3\n"
UNIX = 3
"""The system that a zip file says it was made on, wherever that was (APPNOTE 4.4.2)."""

FIRST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file can name."""


def files_below(folder: Path) -> list[str]:
    """Relative paths of all files, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def write_archive(folder: Path, top: str, out: Path) -> None:
    """Write a gzipped tar of a folder's files, below one folder called `top`; ArtifactError for too long names.

    USTAR, which has no headers of any length: runners refuse those.
    """
    with (
        out.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in files_below(folder):
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = (folder / name).stat().st_size
            member.mode = 0o755 if name in EXECUTABLE else 0o644
            with (folder / name).open("rb") as stream:
                _add(tar, member, stream)


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, stream: BinaryIO) -> None:
    try:
        tar.addfile(member, stream)
    except ValueError as error:  # a part of the path above 100 bytes, or a file of 8 GiB
        raise ArtifactError(f"{member.name}: no bundle holds this file: {error}", "give it a shorter name") from error


def write_zipapp(sources: Path, out: Path) -> None:
    """Write a folder's Python files as one that Python runs; stored, so that it starts without unpacking."""
    with out.open("wb") as raw:
        raw.write(SHEBANG)
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(sources.glob("*.py")):
                member = zipfile.ZipInfo(path.name, FIRST_ZIP_TIME)
                member.create_system = UNIX
                archive.writestr(member, path.read_bytes())
