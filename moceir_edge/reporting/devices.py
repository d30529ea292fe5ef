"""What devices said of the run's artifacts: results of `profile` in the folder `profiles` of the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from moceir_edge.artifacts import artifact_sha256
from moceir_edge.device_result import ProfileResult
from moceir_edge.reporting.contents import Listing, Mark, Phrase, Section, Table, Tone, say
from moceir_edge.reporting.recorded import DASH, Run

TITLE = "On devices"
HEAD = ("device", "artifact", "computed by", "picture", "median ms", "95 % interval", "p95 ms", "MiB at peak", "mJ",
        "golden pictures", "times")  # fmt: skip
NONE = "Nothing has been profiled: `moceir-edge profile ARTIFACT --out RUN/profiles`, then `moceir-edge report RUN`."
CAPTION = (
    "One picture, from memory to memory, steady, with all that the device does beside it. Golden pictures: least PSNR "
    "to the full model, in the process that was timed. Energy of a picture, where the device tells its power."
)


def devices(run: Run) -> Section:
    """A row for each result, and why some do not count."""
    if not run.profiles:
        return Section("devices", TITLE, (say(NONE, tone=Tone.UNSURE),))
    names = dict(_names(run))
    rows = tuple(_row(run, place, result, names) for place, result in run.profiles.items())
    table = Table(HEAD, rows, words=4, tail=2, caption=CAPTION)
    doubts = tuple(
        (f"{result.device.model}, {result.started_utc}: ", reason)
        for result in run.profiles.values()
        for reason in (*result.invalid, *result.notes)
    )
    return Section("devices", TITLE, (table, *((Listing(doubts),) if doubts else ())))


def _names(run: Run) -> Iterator[tuple[str, str]]:
    """Recipes by the hash of their artifact; one of which a file is gone is nobody's."""
    for recipe in run.recipes:
        with suppress(FileNotFoundError):
            if recipe.folder:
                yield artifact_sha256(run.folder / recipe.folder), recipe.name


def _row(run: Run, place: str, result: ProfileResult, names: dict[str, str]) -> tuple[Phrase, ...]:
    height, width = result.latency.size
    middle = f"{place}.latency.percentiles.p50"
    emulated = ", emulated" if result.device.emulated else ""
    energy: Phrase = (DASH,) if result.energy is None else (run.number(f"{place}.energy.mj_per_picture", ".1f"),)
    return (
        (f"{result.device.model}{emulated}",),
        (names.get(result.artifact_sha256, "another than those of this run"),),
        (f"{result.runtime.name} {result.runtime.version}, {result.runtime.provider}",),
        (f"{width}x{height}",),
        (run.number(f"{middle}.value", ".1f"),),
        (run.number(f"{middle}.low", ".1f"), " to ", run.number(f"{middle}.high", ".1f")),
        (run.number(f"{place}.latency.percentiles.p95.value", ".1f"),),
        (run.number(f"{place}.memory_peak_mib", ".0f"),),
        energy,
        _golden(result),
        (Mark("valid", Tone.GOOD) if result.valid else Mark("invalid", Tone.UNSURE),),
    )


def _golden(result: ProfileResult) -> Phrase:
    known = [golden.psnr_db for golden in result.accuracy if golden.psnr_db is not None]
    said = f"{min(known):.1f} dB" if known else "equal" if result.accuracy else "none"
    return (said, " ", Mark("as promised", Tone.GOOD) if result.passed else Mark("not as promised", Tone.BAD))
