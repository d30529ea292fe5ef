"""Runners in processes: what they say when those do not answer as they should."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.process_runner import ProcessRunner, reason_of

READY = "import sys, json; print(json.dumps({'ready': True}), flush=True); line = sys.stdin.readline(); "
PICTURE = np.zeros((3, 8, 8), np.float32)


def runner(tmp_path: Path, code: str) -> ProcessRunner:
    """Of a process that runs the code."""
    (tmp_path / "process.py").write_text(code, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "process.py")]
    return ProcessRunner(command, size=None, what="the library", provider="nobody")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('Error: no such chip')", "the library does not run the model: Error: no such chip"),
        ("print('hello', flush=True); input()", "the library does not run the model: it crashed \\(signal 9\\)"),
        ("import os; os.kill(os.getpid(), 11)", "it crashed \\(signal 11\\)"),
        ("pass", "exit code 0"),
    ],
)
def test_what_does_not_start_says_why(tmp_path: Path, code: str, said: str) -> None:
    """Its own error where it has one, else how it ended; what speaks another language is stopped."""
    with pytest.raises(ArtifactError, match=said):
        runner(tmp_path, code)


def test_what_ends_inside_a_picture_says_why(tmp_path: Path) -> None:
    """Half of a picture is no picture."""
    code = (
        READY + "print(json.dumps({'agreement': None, 'scores': None}), flush=True); sys.exit('Error: out of memory')"
    )
    with pytest.raises(ArtifactError, match="Error: out of memory"):
        runner(tmp_path, code).run(PICTURE)


def test_the_first_error_is_the_reason() -> None:
    """Of much that a library may say."""
    assert reason_of("warning: slow\nError: first\nError: second\n", 1) == "Error: first"
    assert reason_of("", -6) == "it crashed (signal 6)"
