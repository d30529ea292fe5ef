"""One device: a bundle goes there, is checked and profiled, its result comes back, and nothing stays."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.cargo import Cargo, opened_cargo, require_runner
from moceir_edge.reaching.computer import ComputerVisit
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.phone import PhoneVisit
from moceir_edge.reaching.place import Adb, Place
from moceir_edge.reaching.shell import MayPassError, Shell

Say = Callable[[str], None]

_PYTHON = re.compile(r"(?:~/)?[A-Za-z0-9_./+][A-Za-z0-9_./+ -]*")


class Visit(Protocol):
    """What every way to a device offers."""

    def attempt(self) -> ProfileResult:
        """Everything, from what an earlier attempt left; MayPassError where another one may succeed."""
        ...

    def leave(self) -> None:
        """Remove everything, whatever state it is in."""
        ...


def visit(
    place: Place,
    bundle: Path,
    *,
    arguments: Sequence[str] = (),
    python: str = "python3",
    public_key: Path | None = None,
    say: Say = lambda _: None,
    patience: Patience | None = None,
    stop: threading.Event | None = None,
) -> ProfileResult:
    """Upload, check, profile, fetch and clean up; a device that drops out is tried again.

    arguments: of the runner's `profile`. python: the device's Python, by name or path (~/ is the home there).
    public_key: PEM file of whoever has to have signed the bundle, which is looked at here and by the device's runner.
    say: called with a line about each thing that is done. stop: ends the visit as Ctrl-C does, when set. A device that
    is less accurate than it must be has a result that has not `passed`. Errors: ArtifactError for the bundle;
    DeviceError; MoceirEdgeError for a runner that broke.
    """
    with opened_cargo(bundle, public_key=public_key) as cargo:
        return visit_with(cargo, place, arguments=arguments, python=python, say=say, patience=patience, stop=stop)


def visit_with(
    cargo: Cargo,
    place: Place,
    *,
    arguments: Sequence[str],
    python: str,
    say: Say,
    patience: Patience | None,
    stop: threading.Event | None,
) -> ProfileResult:
    """`visit` with a bundle that was opened already, as for several devices."""
    patience, stop = patience or Patience(), stop or threading.Event()
    require_runner(cargo, place)
    if _PYTHON.fullmatch(python) is None:
        raise DeviceError(
            f"{python!r} is no name of a Python", "give a name or a path, as in /opt/python3.8/bin/python3"
        )

    def named(text: str) -> None:
        say(f"{place}: {text}")

    if isinstance(place, Adb):
        phone = PhoneVisit(place, cargo, arguments, patience, stop, named)
        return _patiently(phone, patience, stop=stop, say=named)
    shell = Shell(place, patience=patience, stop=stop)
    computer = ComputerVisit(shell, cargo, _runner(cargo), arguments, python, named)
    return _patiently(computer, patience, stop=stop, say=named)


def _runner(cargo: Cargo) -> Path:
    if cargo.runner is None:
        raise DeviceError(f"{cargo.bundle}: has no runner", "bundle the artifact again")
    return cargo.runner


def _patiently(visiting: Visit, patience: Patience, *, stop: threading.Event, say: Say) -> ProfileResult:
    """Attempts until one has a result or there are no more, with pauses that grow; then nothing stays."""
    try:
        for number, pause_s in enumerate(patience.pauses_s(), start=1):
            try:
                return visiting.attempt()
            except MayPassError as error:
                say(f"{error.what}; attempt {number} of {patience.attempts}, the next one in {pause_s:g} s")
            if stop.wait(pause_s):
                raise KeyboardInterrupt
        return visiting.attempt()
    finally:
        visiting.leave()
