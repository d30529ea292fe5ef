"""What people see: one result on stdout, everything else on stderr, from the first of several processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from moceir_edge.processes import is_first_process
from moceir_edge.terms import Item

SECONDS_BETWEEN_LINES = 10.0

INTERRUPTED = 130
"""What shells give a program that Ctrl-C has ended."""


def printable(text: str) -> str:
    """The text with escapes in place of what a terminal would obey, or show as nothing; lines and tabs stay.

    Devices and files say what they like: it is shown, and moves no cursor and sets no title.
    """
    return "".join(sign if sign.isprintable() or sign in "\n\t" else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


@dataclass
class Console:
    """How to talk: as JSON, loud or quiet, and into which log file; speaks: whether at all, beside errors."""

    as_json: bool = False
    verbose: bool = False
    quiet: bool = False
    log: Path | None = None
    speaks: bool = True
    _started: float = field(default_factory=time.monotonic)

    def speak_for_all(self) -> None:
        """Several processes do this command's work together: only the first one speaks."""
        self.speaks = is_first_process()

    def say(self, text: str) -> None:
        """A line for people, on stderr and in the log."""
        if self.speaks and not self.quiet:
            print(printable(text), file=sys.stderr, flush=True)  # noqa: T201
        self.write_log(text)

    def log_into(self, path: Path) -> None:
        """Write what is said into a file, too; OutputError if that is not possible."""
        from moceir_edge.records import require_writable, writing

        require_writable(path)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a").close()
        self.log = path

    def write_log(self, text: str) -> None:
        """A line in the log file, if there is one; work does not end because its log cannot be written."""
        if self.log is None or not self.speaks:
            return
        try:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"{time.monotonic() - self._started:8.1f} s  {printable(text)}\n")
        except OSError as error:
            log, self.log = self.log, None
            self.say(f"{log}: the log ends here: {error.strerror}")

    def result(self, value: dict[str, Any], text: str) -> None:
        """The one result: the JSON object on stdout, or its text."""
        if self.speaks:
            print(json.dumps(value, indent=1) if self.as_json else printable(text), flush=True)  # noqa: T201
            self.write_log(text)

    def progress(self, items: Sequence[Item], label: str, /) -> Iterator[Item]:
        """A bar on a terminal, plain lines elsewhere, nothing when quiet."""
        if self.quiet or not self.speaks:
            yield from items
        elif sys.stderr.isatty():
            yield from _bar(items, label)
        else:
            yield from self._lines(items, label)

    def _lines(self, items: Sequence[Item], label: str) -> Iterator[Item]:
        said = time.monotonic()
        for number, item in enumerate(items, start=1):
            yield item
            if number == len(items) or time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                self.say(f"{label}: {number} of {len(items)}")


def _bar(items: Sequence[Item], label: str) -> Iterator[Item]:
    from rich.console import Console as RichConsole
    from rich.progress import track

    yield from track(items, description=printable(label), console=RichConsole(stderr=True), transient=True)


class Shielded:
    """Keeps stdout for the result: whatever a library prints goes to stderr while this is open."""

    def __enter__(self) -> TextIO:
        self._redirect = redirect_stdout(sys.stderr)
        self._redirect.__enter__()
        return sys.stderr

    def __exit__(self, *exception: Any) -> None:
        self._redirect.__exit__(*exception)
