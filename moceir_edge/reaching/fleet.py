"""Several devices side by side: what each one says, and which ones failed, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import DeviceError, GateError, MoceirEdgeError
from moceir_edge.reaching.cargo import Cargo, opened_cargo
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Place
from moceir_edge.reaching.visit import visit_with
from moceir_edge.records import Record

AT_ONCE = 16
"""Devices that are visited at a time; the others wait."""


class Failure(Record):
    """Why a device has no result, what to do about it, and the exit code of its own."""

    what: str
    remedy: str
    exit_code: int


class FleetResult(Record):
    """What devices said, by the names of their places, in the order given; each place is in one of the two."""

    results: dict[str, ProfileResult]
    failures: dict[str, Failure]

    @property
    def exit_code(self) -> int:
        """0; 3 where a golden picture is not what it should be; or the largest one of the failures."""
        codes = [failure.exit_code for failure in self.failures.values()]
        codes += [GateError.exit_code for result in self.results.values() if not result.passed]
        return max(codes, default=0)


def visit_all(
    places: Sequence[Place],
    bundle: Path,
    *,
    arguments: Sequence[str] = (),
    python: str = "python3",
    public_key: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    patience: Patience | None = None,
    at_once: int = AT_ONCE,
) -> FleetResult:
    """Visit devices side by side, see `visit`; a device that fails ends nothing but its own visit.

    say: called from several threads, one call at a time, with lines that begin with the place. Errors: DeviceError for
    a place that is given twice; ArtifactError for the bundle. Ctrl-C leaves every device in order, then raises.
    """
    names = [str(place) for place in places]
    for name in names:
        if names.count(name) > 1:
            raise DeviceError(f"{name} is given twice", "give each device once")
    stop, voice = threading.Event(), threading.Lock()

    def aloud(text: str) -> None:
        with voice:
            say(text)

    def one(cargo: Cargo, place: Place) -> ProfileResult | Failure:
        try:
            return visit_with(cargo, place, arguments=arguments, python=python, say=aloud, patience=patience, stop=stop)
        except MoceirEdgeError as error:
            aloud(f"{place}: failed")
            return Failure(what=error.what, remedy=error.remedy, exit_code=error.exit_code)

    with opened_cargo(bundle, public_key=public_key) as cargo:
        found = _side_by_side(partial(one, cargo), places, at_once=at_once, stop=stop)
    pairs = list(zip(names, found, strict=True))
    return FleetResult(
        results={name: value for name, value in pairs if isinstance(value, ProfileResult)},
        failures={name: value for name, value in pairs if isinstance(value, Failure)},
    )


def _side_by_side(
    one: Callable[[Place], ProfileResult | Failure], places: Sequence[Place], *, at_once: int, stop: threading.Event
) -> list[ProfileResult | Failure]:
    """All of them, in order; whatever interrupts this, or a fault of our own, ends the others before it is raised."""
    with ThreadPoolExecutor(max_workers=min(at_once, max(1, len(places)))) as pool:
        futures: list[Future[ProfileResult | Failure]] = [pool.submit(one, place) for place in places]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() and future.exception() is None for future in futures):
                stop.set()
                pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]
