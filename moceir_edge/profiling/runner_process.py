"""The runner of an unpacked bundle as a process on this machine, with this Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from moceir_edge.device_result import ProfileResult, read_result
from moceir_edge.errors import InputError, MoceirEdgeError

RUNNER = "runner.pyz"
GATE_FAILED = 3


def profile_command(folder: Path, options: Sequence[str], *, public_key: Path | None = None) -> tuple[str, ...]:
    """The words that start `profile` of the bundle in a folder; -B: nothing is written beside its files.

    public_key: of whoever has to have signed it, in PEM; None takes it unsigned, too.
    """
    require = () if public_key is None else ("--require-signature", str(public_key))
    return (sys.executable, "-B", str(folder / RUNNER), "profile", *require, *options)


def run_profile(command: Sequence[str], out: Path, *, say: Callable[[str], None]) -> ProfileResult:
    """Run it; what it says goes to `say`. InputError where it refuses, in its own words."""
    lines: list[str] = []
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            lines.append(line.rstrip())
            if not line.startswith("error: "):
                say(line.rstrip())
        if process.wait() not in (0, GATE_FAILED):
            raise refusal(lines)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    return read_result(out)


def said_by(errors: IO[bytes]) -> MoceirEdgeError:
    """What a runner that ended too early wrote on its stderr."""
    errors.seek(0)
    return refusal(errors.read().decode(errors="replace").splitlines())


def refusal(lines: Sequence[str]) -> MoceirEdgeError:
    """The runner's `error: what; what to do` as our error; a traceback is our own fault."""
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if not said:
        last = lines[-1] if lines else "nothing"
        return MoceirEdgeError(f"the runner ended without a result, and said: {last}", "please report it")
    what, _, remedy = said[-1].partition("; ")
    return InputError(what, remedy or "see above")
