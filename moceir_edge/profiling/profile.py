"""`profile`: a bundle run on this machine or on devices, and what they say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from moceir_edge.bundling.bundle import SUFFIX, bundle
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import GateError, InputError, OutputError
from moceir_edge.predicting.comparing import OverBound, over_bound
from moceir_edge.predicting.predict import predict
from moceir_edge.predicting.result import Prediction
from moceir_edge.profiling.comparing import Compared, compare_pairs
from moceir_edge.profiling.confirming import confirm
from moceir_edge.profiling.pairing import ROUNDS, in_turns
from moceir_edge.profiling.runner_process import profile_command, run_profile
from moceir_edge.profiling.running import Running
from moceir_edge.reaching.fleet import Failure, visit_all
from moceir_edge.reaching.place import HERE, place_of
from moceir_edge.records import Record, require_writable, scratch_folder
from moceir_edge.terms import Progress, silent

THIS_MACHINE = "x86_laptop"
"""The device profile of a bundle, if nobody names one: of whatever computer this is."""

Say = Callable[[str], None]


def unheard(text: str) -> None:
    """Say nothing."""
    del text


class Profiled(Record):
    """Results by place (`here`, `ssh://...`), where they were written, places without a result and why.

    bounds: measured / predicted bound, by place, where the device's profile has the figures.
    """

    results: dict[str, ProfileResult]
    failures: dict[str, Failure]
    bounds: dict[str, OverBound]
    written: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0, 3 where a golden picture is not what it should be, or the largest code of the failures."""
        codes = [failure.exit_code for failure in self.failures.values()]
        codes += [GateError.exit_code for result in self.results.values() if not result.passed]
        return max(codes, default=0)


class Predicted(Record):
    """What devices that are not there cannot beat: the bounds by the names of their profiles."""

    predictions: dict[str, Prediction]


class Paired(Record):
    """Two artifacts whose runs were made in turns on this machine; a, b: a result of each for every session."""

    a: tuple[ProfileResult, ...]
    b: tuple[ProfileResult, ...]
    compared: Compared
    written: dict[str, str]


def profile(
    source: Path,
    *,
    devices: Sequence[str] = (HERE,),
    device_profile: str | None = None,
    running: Running | None = None,
    python: str = "python3",
    public_key: Path | None = None,
    out: Path | None = None,
    say: Say = unheard,
) -> Profiled:
    """Run a bundle, or an artifact that is bundled for it, on devices side by side.

    devices: `here`, `ssh://user@host[:port]`, `adb[:SERIAL]`. device_profile: what an artifact is bundled for. python:
    that of the devices; here it is this one. public_key: PEM file of whoever has to have signed the bundle. out: a
    folder that keeps each result as a file.
    """
    running = running or Running()
    if out is not None:
        require_writable(out / "result.json")
    away = [place_of(text) for text in devices if text != HERE]
    results: dict[str, ProfileResult] = {}
    failures: dict[str, Failure] = {}
    with scratch_folder() as scratch:
        packed = _packed(source, device_profile, scratch / "bundle", say, public_key=public_key)
        folder = _unpacked(packed, scratch, public_key=public_key)
        if len(away) < len(devices):
            command = profile_command(folder, running.words(), public_key=public_key)
            results[HERE] = run_profile(command, scratch / "result.json", say=say)
        if away:
            words = running.words()
            fleet = visit_all(away, packed, arguments=words, python=python, public_key=public_key, say=say)
            results, failures = {**results, **fleet.results}, fleet.failures
        written = kept(results, out)
        if source.is_dir():
            _confirmed(source, {place: result for place, result in results.items() if place != HERE}, say)
        bounds = dict(_bounds(folder / "artifact", results, say))
    return Profiled(results=results, failures=failures, bounds=bounds, written=written)


def _confirmed(artifact: Path, results: Mapping[str, ProfileResult], say: Say) -> None:
    """Write into the artifact what devices have proven of it; of several the last that passed, or the last.

    An artifact that cannot be written, or is another one by now, costs nobody the results.
    """
    for place, result in sorted(results.items(), key=lambda pair: pair[1].passed):
        try:
            proof = confirm(artifact, result)
        except (InputError, OSError) as error:
            say(f"{place}: not noted in {artifact}: {error}")
            continue
        say(f"{place}: {proof}" if isinstance(proof, str) else f"{artifact}: executed on a device: {proof.reason}")


def against(
    a: Path,
    b: Path,
    *,
    device_profile: str | None = None,
    running: Running | None = None,
    rounds: int = ROUNDS,
    public_key: Path | None = None,
    out: Path | None = None,
    progress: Progress = silent,
    say: Say = unheard,
) -> Paired:
    """Two bundles or artifacts on this machine, run beside run: what decides where one is a few percent slower."""
    running = running or Running()
    if out is not None:
        require_writable(out / "result.json")
    with scratch_folder() as scratch:
        commands = []
        for name, source in (("a", a), ("b", b)):
            packed = _packed(source, device_profile, scratch / name, say, public_key=public_key)
            folder = _unpacked(packed, scratch / f"{name}-unpacked", public_key=public_key)
            commands.append(profile_command(folder, running.words(), public_key=public_key))
        pairs = in_turns(commands[0], commands[1], scratch, rounds=rounds, progress=progress, say=say)
    first, second = zip(*pairs, strict=True)
    named = {
        f"{side}-{number}": result
        for side, results in (("a", first), ("b", second))
        for number, result in enumerate(results, start=1)
    }
    return Paired(a=first, b=second, compared=compare_pairs(pairs), written=kept(named, out))


def predictions(
    source: Path,
    device_profiles: Sequence[str],
    *,
    size: tuple[int, int] | None = None,
    public_key: Path | None = None,
) -> Predicted:
    """Predicted bounds of an artifact, or of the artifact in a bundle, for devices by the names of their profiles."""
    sizes = [] if size is None else [size]
    with scratch_folder() as scratch:
        _require_bundle(source, public_key)
        artifact = _unpacked(source, scratch, public_key=public_key) / "artifact" if source.is_file() else source
        return Predicted(predictions={name: predict(artifact, name, sizes=sizes) for name in device_profiles})


def _require_bundle(source: Path, public_key: Path | None) -> None:
    """InputError where a signature is required of something that has none."""
    if public_key is not None and source.is_dir():
        raise InputError(f"{source}: an artifact, and only bundles are signed", "give one made with bundle --sign KEY")


def _packed(source: Path, device_profile: str | None, scratch: Path, say: Say, *, public_key: Path | None) -> Path:
    """The bundle that was given, or one made of the artifact that was."""
    _require_bundle(source, public_key)
    if source.is_file():
        if device_profile is not None:
            raise InputError(f"{source} is bundled already", "leave --profile out, or give the artifact")
        return source
    path = scratch.with_name(scratch.name + SUFFIX)
    bundle(source, device_profile or THIS_MACHINE, path, say=say)
    return path


def _unpacked(packed: Path, scratch: Path, *, public_key: Path | None) -> Path:
    """Its folder."""
    scratch.mkdir(exist_ok=True)
    return scratch / open_bundle(packed, scratch, public_key=public_key).name


def _bounds(artifact: Path, results: Mapping[str, ProfileResult], say: Say) -> Iterator[tuple[str, OverBound]]:
    """Where the profile of the device has figures, and the artifact says what it computes; else why there is none."""
    for place, result in results.items():
        try:
            prediction = predict(artifact, result.device.profile, sizes=[result.latency.size])
        except InputError as error:
            say(f"{place}: no predicted bound: {error.what}")
            continue
        found = over_bound(prediction, result)
        if found.bound_ms is not None:
            yield place, found


def kept(results: Mapping[str, ProfileResult], out: Path | None) -> dict[str, str]:
    """Write each result as a file of its own into a folder, beside those that are there; places by name."""
    return {} if out is None else {name: str(_written(name, result, out)) for name, result in results.items()}


def _written(name: str, result: ProfileResult, out: Path) -> Path:
    moment = re.sub(r"[^0-9T]", "", result.started_utc.partition("+")[0])
    stem = f"{re.sub(r'[^A-Za-z0-9.]+', '-', name)}-{result.artifact_sha256[:8]}-{moment}"
    for number in range(1, 1000):
        path = out / f"{stem}{f'-{number}' if number > 1 else ''}.json"
        if not path.exists():
            result.write(path)
            return path
    raise OutputError(f"{out}: holds a thousand results of this second", "choose another folder")
