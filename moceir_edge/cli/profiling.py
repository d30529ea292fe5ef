"""What `profile` does, by what it was given: one of five things, each with one result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moceir_edge.cli.console import Console, Shielded
from moceir_edge.errors import GateError, InputError
from moceir_edge.profiling.running import Running
from moceir_edge.terms import size_from_text

WAYS = "give an ARTIFACT or a BUNDLE, --compare A B, or --import RESULT (with ARTIFACT: to note there what it proves)"
MOST_ROUNDS = 100_000


@dataclass(frozen=True)
class ProfileWords:
    """The command line, as it was given."""

    source: Path | None
    devices: tuple[str, ...]
    device_profile: str | None
    compare: tuple[Path, Path] | None
    against: Path | None
    imported: Path | None
    batterystats: Path | None
    uid: str | None
    volts: float
    runs: int | None
    seconds: float | None
    size: str | None
    threads: int | None
    rounds: int
    python: str
    public_key: Path | None
    out: Path | None


def run_profiling(words: ProfileWords, console: Console) -> int:
    """Do it, show it; the exit code."""
    given = 3 - [words.source, words.compare, words.imported].count(None)
    if given == 0:
        raise InputError("Missing argument ARTIFACT|BUNDLE", WAYS)
    if words.public_key is not None and (words.source is None or words.imported is not None):
        raise InputError("--require-signature goes with a BUNDLE", "give the one that is run")
    if words.imported is not None and words.compare is None and words.against is None:
        return _show(words.imported, words, console)
    if given != 1:
        raise InputError("more than one thing to profile", WAYS)
    if words.compare is not None:
        return _compare(words.compare, console)
    if words.batterystats is not None or words.uid is not None:
        raise InputError("--batterystats goes with --import and --uid", "import what the phone's runner wrote")
    assert words.source is not None
    if words.against is not None:
        return _against(words.source, words.against, words, console)
    return _profile(words.source, words, console)


def _compare(sides: tuple[Path, Path], console: Console) -> int:
    with Shielded():
        from moceir_edge.profiling.comparing import compare, read_side
        from moceir_edge.profiling.table import compared_text

        found = compare(*(read_side(side) for side in sides))
    console.result(found.model_dump(mode="json"), compared_text(found))
    return 0


def _show(path: Path, words: ProfileWords, console: Console) -> int:
    with Shielded():
        from moceir_edge.device_result import read_result
        from moceir_edge.profiling.batterystats import read_dump, with_energy
        from moceir_edge.profiling.confirming import confirm
        from moceir_edge.profiling.table import result_text

        if (words.batterystats is None) is not (words.uid is None):
            raise InputError("--batterystats and --uid go together", "give both, or none")
        found = read_result(path)
        if words.batterystats is not None and words.uid is not None:
            found = with_energy(found, read_dump(words.batterystats), uid=words.uid, volts=words.volts)
        if words.source is not None:
            proof = confirm(words.source, found)
            nothing = isinstance(proof, str)
            console.say(f"nothing is proven of {words.source}: {proof}" if nothing else "noted in artifact.json")
    console.result(found.model_dump(mode="json"), result_text(found))
    return 0 if found.passed else GateError.exit_code


def _against(source: Path, other: Path, words: ProfileWords, console: Console) -> int:
    if words.devices not in ((), ("here",)):
        raise InputError("--against runs both on this machine", "leave --device out")
    if words.runs is not None or words.seconds is not None:
        raise InputError("--against counts rounds", "give --rounds instead of --runs or --seconds")
    if not 1 <= words.rounds <= MOST_ROUNDS:
        raise InputError(f"{words.rounds} rounds are not possible", f"give a number from 1 to {MOST_ROUNDS}")
    with Shielded():
        from moceir_edge.profiling.profile import against
        from moceir_edge.profiling.table import paired_text

        found = against(
            source,
            other,
            device_profile=words.device_profile,
            running=_running(words),
            rounds=words.rounds,
            public_key=words.public_key,
            out=words.out,
            progress=console.progress,
            say=console.say,
        )
    console.result(found.model_dump(mode="json"), paired_text(found))
    return 0


def _profile(source: Path, words: ProfileWords, console: Console) -> int:
    with Shielded():
        from moceir_edge.profiling.profile import predictions, profile
        from moceir_edge.profiling.table import predictions_text, profiled_text
        from moceir_edge.reaching.place import is_place

        names = [name for name in words.devices if not is_place(name)]
        if names and len(names) < len(words.devices):
            raise InputError(f"{names[0]} has no address", "ask for predictions in a command of their own")
        if names:
            predicted = predictions(source, names, size=_size(words), public_key=words.public_key)
        else:
            found = profile(
                source,
                devices=words.devices or ("here",),
                device_profile=words.device_profile,
                running=_running(words),
                python=words.python,
                public_key=words.public_key,
                out=words.out,
                say=console.say,
            )
    if names:
        console.result(predicted.model_dump(mode="json"), predictions_text(predicted, source))
        return 0
    console.result(found.model_dump(mode="json"), profiled_text(found))
    return found.exit_code


def _running(words: ProfileWords) -> Running:
    return Running(words.runs, words.seconds, _size(words), words.threads)


def _size(words: ProfileWords) -> tuple[int, int] | None:
    return None if words.size is None else size_from_text(words.size)
