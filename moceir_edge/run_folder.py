"""The run folder: a stage is reused when what went into it has the same hash and what came out is still there.

A stage's result is one JSON in the run folder; `stages/<name>.json` says what it was made from. A stage that was
killed has no such file, so it runs again; files appear only when they are whole.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from moceir_edge.errors import ArtifactError, OutputError
from moceir_edge.records import (
    TEMPORARY,
    Record,
    replacing_file,
    require_writable,
    sha256_of_path,
    sha256_of_value,
    writing,
)

R = TypeVar("R", bound=Record)
MARKS = "stages"
OURS = f"{MARKS}/run.txt"
"""Tells that a folder is a run of ours, so that its stages may be replaced."""


LOCK = f"{TEMPORARY}lock"
"""Held while a run works in its folder; the system lets go of it when the process dies."""


class StageMark(Record):
    """What a finished stage was made from and what it left: hashes by path in the run folder."""

    stage: str
    key: str
    outputs: dict[str, str]
    seconds: float


class RunFolder:
    """A folder of stages; `reused` and `ran` say what happened in this process.

    kind: what people call it; a folder of one kind is not taken for another.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None], kind: str = "run") -> None:
        self.folder, self.say, self.kind = folder, say, kind
        self.reused: list[str] = []
        self.ran: list[str] = []

    def check(self) -> None:
        """OutputError if the folder holds something that is no run, or cannot be written."""
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"{self.folder} is a file", "give a folder for the run")
        if self.foreign():
            raise OutputError(f"{self.folder} exists already and is no {self.kind}", "give another folder")
        require_writable(self.folder / MARKS)

    def foreign(self) -> bool:
        """Whether the folder holds files and is none of ours; a start that was killed leaves empty folders at most."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(TEMPORARY))
        mark = self.folder / OURS
        return any(files) and not (mark.is_file() and mark.read_text(encoding="utf-8").startswith(self._words))

    @property
    def _words(self) -> str:
        return f"A {self.kind} of moceir-edge"

    @contextmanager
    def open(self, *, force: bool) -> Iterator[None]:
        """Have the folder, after `check`, for the time of the block; leftovers of a killed run go.

        force: start again from nothing; only a run is ever deleted. OutputError where another run works there.
        """
        self.check()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            with writing(self.folder):
                self._clear(lambda path: force or path.name.startswith(TEMPORARY))
                with replacing_file(self.folder / OURS) as temporary:
                    temporary.write_text(f"{self._words}; stages are reused by the hashes beside this file.\n")
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            with writing(self.folder):
                lock.acquire()
        except Timeout as error:
            remedy = "wait for it, or give another folder"
            raise OutputError(f"{self.folder}: another run works there", remedy) from error
        try:
            yield
        finally:
            (self.folder / LOCK).unlink(missing_ok=True)
            lock.release()

    def _clear(self, unwanted: Callable[[Path], bool]) -> None:
        for path in sorted(self.folder.rglob("*")):
            if path.name != LOCK and unwanted(path):
                _delete(path)

    def stage(
        self,
        name: str,
        inputs: Mapping[str, Any],
        kind: type[R],
        action: Callable[[], R],
        *,
        outputs: Callable[[R], Sequence[str]] = lambda _: (),
    ) -> R:
        """Run a stage, or take its result from before.

        inputs: plain data that decides the result. outputs: paths in the run folder that belong to it.
        """
        key = sha256_of_value({"stage": name, **inputs})
        result_path = self.folder / f"{name}.json"
        known = self._finished(name, key)
        if known is not None:
            if name not in self.reused:
                self.reused.append(name)
            self.say(f"{name}: reused")
            return kind.read(result_path)
        self.say(f"{name}: running")
        self._forget(name)
        start = time.monotonic()
        result = action()
        result.write(result_path)
        paths = (result_path.name, *outputs(result))
        mark = StageMark(
            stage=name,
            key=key,
            outputs={path: sha256_of_path(self.folder / path) for path in paths},
            seconds=round(time.monotonic() - start, 3),
        )
        mark.write(self.folder / MARKS / f"{name}.json")
        self.ran.append(name)
        return result

    def _forget(self, name: str) -> None:
        """Delete what a stage left before: made from something else, or altered since. Without a mark (it was killed)
        its parts stay, and the stage may go on from them.
        """
        path = self.folder / MARKS / f"{name}.json"
        if not path.is_file():
            return
        try:
            outputs = tuple(StageMark.read(path).outputs)
        except ArtifactError:
            outputs = ()
        for output in outputs:
            _delete(self.folder / output)
        path.unlink()

    def _finished(self, name: str, key: str) -> StageMark | None:
        path = self.folder / MARKS / f"{name}.json"
        if not path.is_file():
            return None
        try:
            mark = StageMark.read(path)
        except ArtifactError:
            return None
        if mark.key != key:
            return None
        whole = all(sha256_of_path(self.folder / path) == sha256 for path, sha256 in mark.outputs.items())
        return mark if whole else None


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
