"""Frozen values that are written as JSON, their hashes, and files that appear only when whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from moceir_edge.errors import ArtifactError, OutputError

TEMPORARY = ".moceir-edge-"
"""How the names of unfinished files and folders begin."""


class Record(BaseModel):
    """A frozen value; fields are closed, so a file with an unknown field is not read as if it had none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def write(self, path: Path) -> None:
        """Write this value as JSON to `path`, atomically."""
        with replacing_file(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a value written by `write`; ArtifactError if the file is missing or is something else."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ArtifactError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ArtifactError(
                f"{path}: not a {cls.__name__}: {place}: {first['msg']}", "give a file written by this version"
            ) from error


class Skipped(Record):
    """Something that was left out on purpose, and why."""

    what: str
    reason: str


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of_value(value: Any) -> str:
    """Hash of plain data (dicts, lists, numbers, text)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_path(path: Path) -> str:
    """Hash of a file, or of a folder's files by relative path; of nothing where there is none."""
    if path.is_file():
        return sha256_of_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return sha256_of_value([[file.relative_to(path).as_posix(), sha256_of_file(file)] for file in files])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write `path` into OutputError."""
    try:
        yield
    except OSError as error:
        refused = output_error(path, error)
        if refused is None:
            raise
        raise refused from error


def output_error(path: Path, error: OSError) -> OutputError | None:
    """The operating system's refusal in our words; None for anything that is no refusal to write."""
    if isinstance(error, shutil.Error):  # a library copied a folder: its errors by file, without their numbers
        return OutputError(f"{path}: cannot be written: {error.args[0][0][-1]}", "choose another folder")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{path}: the disk is full", "free some space, or choose another disk")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"{path}: no permission to write", "choose a folder that you may write to")
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST):
        return OutputError(f"{path}: cannot be written: {error.strerror}", "choose another name")
    if error.errno == errno.ENOENT and _was_to_be_made(error.filename, path):
        return OutputError(f"{path}: cannot be written: {error.filename} cannot be made", "choose another folder")
    return None


def _was_to_be_made(missing: object, path: Path) -> bool:
    """Whether what is missing is a folder above an output, or its unfinished file, and not something that is read."""
    place = Path(str(missing))
    return place in path.parents or place.name.startswith(TEMPORARY)


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; it becomes `path` only if the block succeeds."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it becomes `path`, in place of what was there, only on success.

    What was there is moved aside before and deleted after, so that a half-deleted folder never has the final name.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=TEMPORARY))
        aside = temporary.with_name(f"{temporary.name}.old")
        try:
            yield temporary
            temporary.chmod(0o755)
            if path.exists():
                path.rename(aside)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the time of the block; OutputError names its disk, which may be a small one."""
    with writing(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="moceir-edge-") as name:
        yield Path(name)


def copy_files(source: Path, folder: Path) -> None:
    """Copy every file below `source`; unlike shutil.copytree, the first refusal of the system ends it, as it was."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def refuse_existing(path: Path, *, force: bool, mark: str | None = None) -> None:
    """OutputError, before any work is done, if the output `path` exists and `force` is off, or cannot be written.

    mark: for a folder, the file that tells that it is one of ours; another one is not replaced, whatever was asked.
    """
    if path.exists() and path.is_dir() is (mark is None):
        raise OutputError(f"{path} is a {'folder' if path.is_dir() else 'file'}", "choose another name")
    occupied = any(path.iterdir()) if path.is_dir() else path.exists()
    if occupied and mark is not None and not (path / mark).exists():
        raise OutputError(f"{path} exists already and has no {mark}", "choose another name")
    if occupied and not force:
        raise OutputError(f"{path} exists already", "choose another name, or add --force to replace it")
    require_writable(path)


def require_writable(path: Path) -> None:
    """OutputError if nothing can be written to `path`, which need not exist."""
    with writing(path):
        place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir():
        raise OutputError(f"{path}: {place} is a file", "choose another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: no permission to write", "choose a folder that you may write to")


def refuse_inside(folder: Path, inputs: Iterable[Path]) -> None:
    """OutputError if one of the inputs lies in an output folder, which --force would delete."""
    for given in inputs:
        if given.resolve().is_relative_to(folder.resolve()):
            raise OutputError(f"{folder} holds {given}, which is read", "choose another folder")
