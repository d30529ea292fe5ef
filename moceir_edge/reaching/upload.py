"""A file on its way to a computer: it goes on where an earlier attempt stopped, if what is there is its beginning."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from moceir_edge.errors import DeviceError
from moceir_edge.reaching.calling import Process
from moceir_edge.reaching.shell import MayPassError, Shell
from moceir_edge.records import sha256_of_file

_SAY_EVERY_S = 10.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Part:
    """What a device has of a file."""

    size: int
    sha256: str


def upload(shell: Shell, path: Path, name: str, *, there: Part | None, python: str, say: Callable[[str], None]) -> None:
    """Bring `path` to the visit's folder under a name it gets when whole; MayPassError where it arrived altered."""
    size, sha256 = path.stat().st_size, sha256_of_file(path)
    offset = sound_bytes(path, there)
    say(f"uploading {name}, {size / 2**20:.1f} MiB" + (f", of which {offset / 2**20:.1f} are there" if offset else ""))
    with path.open("rb", buffering=0) as stream:
        stream.seek(offset)
        limit_s = shell.patience.upload_s(size - offset)
        telling = _Telling(stream, size, name, say)
        said = shell.step("upload", name, str(offset), limit_s=limit_s, source=stream, meanwhile=telling)
    if said.code:
        raise _not_written(shell.name, said.last_line)
    said = shell.step("uploaded", name, sha256, python)
    if said.code:
        raise _not_written(shell.name, said.last_line)
    if b"differs" in said.out.splitlines():
        raise MayPassError(f"{shell.name}: {name} arrived altered", "check the connection and the device's storage")


def sound_bytes(path: Path, there: Part | None) -> int:
    """How many bytes of `path` a device has, by their hash; 0 where they are others."""
    if there is None or there.size > path.stat().st_size:
        return 0
    return there.size if _sha256_of_beginning(path, there.size) == there.sha256 else 0


def _sha256_of_beginning(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while size > 0 and (block := stream.read(min(_BLOCK, size))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def _not_written(name: str, complaint: str) -> DeviceError:
    what = "no space" if "No space left" in complaint or "quota" in complaint else "cannot be written"
    return DeviceError(f"{name}: {what}: {complaint}", "free some space there")


class _Telling:
    """Says how far the program is that reads the stream, whose position it shares."""

    def __init__(self, stream: IO[bytes], size: int, name: str, say: Callable[[str], None]) -> None:
        self._stream, self._size, self._name, self._say = stream, size, name, say
        self._said = time.monotonic()

    def __call__(self, process: Process) -> None:
        del process
        if time.monotonic() - self._said > _SAY_EVERY_S:
            self._said = time.monotonic()
            self._say(f"{self._name}: {100 * self._stream.tell() // max(1, self._size)} % sent")
