"""One program of this machine, called with limits: of time, of what it may say, and ended when a person says so."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from moceir_edge.errors import MissingBackendError

MOST_BYTES = 64 << 20
"""A result with all its readings is below one of these; what says more is not listened to."""

PACKAGES = {"ssh": "install the OpenSSH client (Debian: openssh-client)", "adb": "install adb (Debian: adb)"}

_LOOK_S = 0.05
_END_S = 3.0

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Said:
    """code: its exit code, negative for a signal; out: all of its output; err: of its complaints, as text."""

    code: int
    out: bytes
    err: str

    @property
    def last_line(self) -> str:
        """What it complained of last."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1][:400] if lines else f"it said nothing and ended with {self.code}"


class TooLongError(Exception):
    """It took longer than it may, or said more."""


def call(
    command: Sequence[str],
    *,
    limit_s: float,
    source: IO[bytes] | int = subprocess.DEVNULL,
    meanwhile: Callable[[Process], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Said:
    """Run a program to its end; TooLongError, KeyboardInterrupt when `stop` is set, MissingBackendError without it.

    source: what it reads, as for subprocess. meanwhile: called again and again while it runs. It has a session of its
    own, so that Ctrl-C reaches this program alone, which ends the other one in order.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(command, stdin=source, stdout=out, stderr=err, start_new_session=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            what = f"{command[0]} cannot be started: {error.strerror}"
            raise MissingBackendError(what, PACKAGES.get(command[0], "install it")) from error
        try:
            _wait(process, time.monotonic() + limit_s, meanwhile, stop=stop, outputs=(out, err))
        finally:
            _end(process)
        return Said(process.returncode, _all_of(out), _all_of(err).decode("utf-8", "replace"))


def _wait(
    process: Process,
    deadline: float,
    meanwhile: Callable[[Process], None],
    *,
    stop: threading.Event | None,
    outputs: Iterable[IO[bytes]],
) -> None:
    while process.poll() is None:
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            raise TooLongError("it took too long")
        if any(os.fstat(output.fileno()).st_size > MOST_BYTES for output in outputs):
            raise TooLongError(f"it said more than {MOST_BYTES >> 20} MiB")
        meanwhile(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)


def _end(process: Process) -> None:
    """End it and what it started, if it still runs."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(_END_S)


def _all_of(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(MOST_BYTES)


class Beats:
    """Writes a line to a program's input every few seconds; for `meanwhile`."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = 0.0
        self._count = 0

    def __call__(self, process: Process) -> None:
        if process.stdin is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every_s
        self._count += 1
        with suppress(BrokenPipeError):  # it has just ended, which the next look tells
            process.stdin.write(b"%d\n" % self._count)
            process.stdin.flush()
