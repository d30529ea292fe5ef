"""Two bundles in turns: a runner for each in a process of its own, and run beside run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from moceir_edge.device_result import ProfileResult, read_result
from moceir_edge.errors import InputError
from moceir_edge.profiling.runner_process import said_by
from moceir_edge.terms import Progress, silent

ROUNDS = 120
SESSIONS = 6
ROUNDS_OF_SESSION = 16
"""Fewer rounds say nothing of a session (see `deciding.LEAST_RUNS`), so there are fewer sessions then."""

END_S = 300.0
"""How long a runner may take, after the last turn, for its golden pictures and operators."""

Pair = tuple[ProfileResult, ProfileResult]


class Turns:
    """A runner that makes a run each time it is asked; `command` ends in the words of its `profile --paced`."""

    def __init__(self, command: Sequence[str], out: Path, errors: IO[bytes]) -> None:
        self._out, self._errors = out, errors
        words = [*command, "--paced", "--out", str(out)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
        )

    def answer(self) -> object:
        """The next thing it says; InputError, in its own words, if it ends instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise said_by(self._errors)
        return json.loads(line)

    def run(self) -> float:
        """One run, in milliseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("run\n")
        return float(str(self.answer()))

    def result(self) -> ProfileResult:
        """No more runs: what it writes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(END_S) not in (0, 3):
            raise said_by(self._errors)
        return read_result(self._out)

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def _started(command: Sequence[str], out: Path) -> Iterator[Turns]:
    with tempfile.TemporaryFile() as errors:
        turns = Turns(command, out, errors)
        try:
            yield turns
        finally:
            turns.stop()


def in_turns(
    a: Sequence[str],
    b: Sequence[str],
    scratch: Path,
    *,
    rounds: int = ROUNDS,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Pair, ...]:
    """Results in pairs, one pair for each session, whose runs are pairs: entry i of both was made in one round.

    a, b: command lines that end in `profile` and its options. scratch: a folder for their results. rounds: in all. The
    order in a round is A B, B A, A B ... Each session starts both processes anew, because where a process lies in
    memory makes it a few percent faster or slower for all of its life.
    """
    sessions = max(1, min(SESSIONS, rounds // ROUNDS_OF_SESSION))
    shares = [rounds // sessions + (number < rounds % sessions) for number in range(sessions)]
    pairs = []
    for number, share in enumerate(shares, start=1):
        say(f"session {number} of {sessions}: warming up")
        pairs.append(_session(a, b, scratch, share, progress=progress))
    return tuple(pairs)


def _session(a: Sequence[str], b: Sequence[str], scratch: Path, rounds: int, *, progress: Progress) -> Pair:
    with ExitStack() as stack:
        sides = [
            stack.enter_context(_started(command, scratch / name)) for name, command in (("a.json", a), ("b.json", b))
        ]
        for side in sides:
            if side.answer() != "ready":
                raise InputError("the bundle's runner cannot take turns", "bundle the artifact again")
        for number in progress(range(rounds), "rounds"):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.run()
        first, second = (side.result() for side in sides)
        return first, second
