"""Calling commands as people do, and looking at everything they leave."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from moceir_edge.cli.entry import run
from tests.cli.world import snapshot

Captured = pytest.CaptureFixture[str]

PROGRESS = re.compile(r"[\w -]+: \d+ of \d+|[\w-]+: (running|reused)|[\w-]+: left out, .+")
"""Lines about work, as they appear where stderr is no terminal."""


def result_of(words: list[str], captured: Captured, *, code: int = 0) -> dict[str, Any]:
    """The one object that a command prints with --json; nothing else may stand on stdout."""
    captured.readouterr()
    assert run([*words, "--json"]) == code, captured.readouterr().err
    value = json.loads(captured.readouterr().out)
    assert isinstance(value, dict)
    return value


def assert_refused(
    words: list[str], says: str, captured: Captured, *, folder: Path, code: int = 2, left: Sequence[str] = ()
) -> None:
    """Exit `code`, one line what and one line what to do, the same as JSON, no traceback, nothing left in `folder`.

    says: regular expression, searched in the first line. left: folders that may stay.
    """
    before = snapshot(folder)
    captured.readouterr()
    with warnings.catch_warnings(record=True) as warned:
        assert run(words) == code
        shown = captured.readouterr()
        what, remedy = _two_lines(shown.err)
        assert shown.out == ""
        assert re.search(says, what), f"{says!r} is not in {what!r}"
        assert run([*words, "--json"]) == code
        shown = captured.readouterr()
    assert json.loads(shown.out) == {"error": {"what": what, "remedy": remedy, "exit_code": code}}
    assert not [line for line in shown.err.splitlines() if not PROGRESS.fullmatch(line)]
    assert not warned, "a warning would be a third line"
    assert {path: facts for path, facts in snapshot(folder).items() if path not in left} == before


def _two_lines(text: str) -> tuple[str, str]:
    lines = [line for line in text.splitlines() if not PROGRESS.fullmatch(line)]
    assert len(lines) == 2, text
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  ")
    return lines[0].removeprefix("error: "), lines[1].strip()
