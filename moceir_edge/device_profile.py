"""What is known of a kind of device: `devices/profiles/*.yaml`, every figure with a source.

A source is the address of a page, or OWNER/REPOSITORY@COMMIT:PATH, or several of them with "; " between; what it says
is quoted in a comment beside it. What nobody read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from moceir_edge.device_result import RunnerName
from moceir_edge.recipe.yaml_file import Place, read_yaml, validated
from moceir_edge.records import Record
from moceir_edge.resources import find_resource
from moceir_edge.terms import Precision, TargetName


class Reach(StrEnum):
    """How a computer gets to it. here: this machine; page: a person opens a page; xcode: a Mac installs an app."""

    HERE = "here"
    SSH = "ssh"
    ADB = "adb"
    XCODE = "xcode"
    PAGE = "page"


class PowerWay(StrEnum):
    """How power is read, by the runner or, batterystats, by Android.

    sysfs: files of hwmon or power_supply; rapl: counters under /sys/class/powercap; powermetrics: macOS.
    """

    TEGRASTATS = "tegrastats"
    SYSFS = "sysfs"
    BATTERYSTATS = "batterystats"
    POWERMETRICS = "powermetrics"
    RAPL = "rapl"


_ADDRESS = re.compile(r"https?://[\w.-]+\.\w+/\S*|[\w.-]+/[\w.-]+@[0-9a-f]{40}:\S.*")
_OWN_MODULE = re.compile(r"moceir_edge/[\w/]+\.py|(export|devices)/[\w/]+\.\w+")


def _read_elsewhere(text: str) -> str:
    """`text`, if it names places where something can be read again."""
    for part in text.split("; "):
        if _ADDRESS.fullmatch(part) is None:
            raise ValueError(f"{part!r} is no address of a page (https://...) and no OWNER/REPOSITORY@COMMIT:PATH")
    return text


def _read_elsewhere_or_here(text: str) -> str:
    """The same, but a file of this project, which names its own sources, will do."""
    return text if all(_OWN_MODULE.fullmatch(part) for part in text.split("; ")) else _read_elsewhere(text)


Source = Annotated[str, AfterValidator(_read_elsewhere)]
Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
Text = Annotated[str, Field(min_length=1)]


class Figure(Record):
    """A number above 0, and where it was read."""

    value: Annotated[float, Field(gt=0, strict=True)]
    source: Source


class Runtime(Record):
    """A target that the device runs: which library, from and below which version, in which precisions.

    Versions are numbers with points; null is no limit. note: what comes with which system release.
    """

    target: TargetName
    library: Text
    from_version: Version | None = None
    below_version: Version | None = None
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)]
    source: Annotated[str, AfterValidator(_read_elsewhere_or_here)]
    note: str = ""


class Peak(Record):
    """The best rate of a unit in a precision, never below what the device can do; a multiply and an add are one MAC,
    half of a FLOP or TOPS figure.

    sparse: whether the source counts zeros that are skipped; the value here is the dense one, half of that.
    """

    unit: Text
    precision: Precision
    gmacs_per_s: Figure
    sparse: bool = False


class Rail(Record):
    """Where power is read: the way, and the name that it has there."""

    way: PowerWay
    name: Text
    what: Text


class DeviceProfile(Record):
    """A kind of device.

    chip, npu, compute_capability: the names by which targets know its processors. python: the oldest that its system
    brings. memory_mib: of the whole device, the smallest of a kind that is sold with several; usable_share: of it that
    a program may take (null: half). clocks: commands a person runs to hold them before a profile, and to let them go,
    on the device (those of adb on the computer beside it). peaks and bandwidth_gb_per_s: for the lower bounds of
    `predicting`; nothing read, nothing predicted. energy figures: of a MAC and of a byte from main memory.
    """

    title: Text
    system: Text
    reach: Reach
    runner: RunnerName
    chip: str | None = None
    npu: str | None = None
    compute_capability: Version | None = None
    python: Version | None = None
    memory_mib: Figure | None = None
    usable_share: Figure | None = None
    runtimes: Annotated[tuple[Runtime, ...], Field(min_length=1)]
    hold_clocks: tuple[Text, ...] = ()
    free_clocks: tuple[Text, ...] = ()
    clocks_source: Source | None = None
    rails: tuple[Rail, ...] = ()
    rails_source: Source | None = None
    peaks: tuple[Peak, ...] = ()
    bandwidth_gb_per_s: Figure | None = None
    pj_per_mac: dict[Precision, Figure] = Field(default_factory=dict)
    pj_per_byte: Figure | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        found = [f"{'.'.join(map(str, place))}: {message}" for place, message in _contradictions(self.model_dump())]
        if found:
            raise ValueError("; ".join(found))
        return self

    def runtime(self, target: TargetName) -> Runtime | None:
        """What runs this target there; None where nothing does."""
        return next((runtime for runtime in self.runtimes if runtime.target is target), None)


def _contradictions(said: Any) -> Iterator[tuple[Place, str]]:
    """Place and message of what does not go together; said: a profile as plain data, its fields checked or not."""
    if not isinstance(said, Mapping):
        return
    if bool(said.get("hold_clocks")) is not bool(said.get("free_clocks")):
        yield ("free_clocks",), "is missing" if said.get("hold_clocks") else "without hold_clocks"
    for what, source in (("hold_clocks", "clocks_source"), ("rails", "rails_source")):
        if said.get(what) and not said.get(source):
            yield (source,), "is missing"
    share = said.get("usable_share")
    if isinstance(share, Mapping) and isinstance(value := share.get("value"), int | float) and value > 1:
        yield ("usable_share", "value"), f"{value} is more than the whole"
    yield from _doubled(said, "runtimes", ("target",))
    yield from _doubled(said, "peaks", ("unit", "precision"))


def _doubled(said: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> Iterator[tuple[Place, str]]:
    seen = set()
    rows = said.get(name)
    for index, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
        words = tuple(str(row.get(key)) for key in keys) if isinstance(row, Mapping) else (str(index),)
        if words in seen:
            yield (name, index), f"a second one of {', '.join(words)}"
        seen.add(words)


def read_device_profile(name: str) -> DeviceProfile:
    """A bundled profile by its name, or a file; InputError where there is none, RecipeError with every problem."""
    return validated(read_yaml(find_resource("devices", name)), DeviceProfile, _contradictions)


def profile_name(name: str) -> str:
    """The name of a profile: that of its file."""
    return Path(name).stem


def profiles_table(names: Iterable[str]) -> str:
    """Profiles as a Markdown table: what is known of each, and - where nothing is."""
    head = ("device", "what", "reach", "memory", "runs", "clocks", "power", "GMAC/s at best", "GB/s")
    lines = [head, tuple("---" for _ in head), *(_cells(name, read_device_profile(name)) for name in sorted(names))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(name: str, profile: DeviceProfile) -> tuple[str, ...]:
    memory, bandwidth = profile.memory_mib, profile.bandwidth_gb_per_s
    peaks = (f"{peak.precision} {peak.gmacs_per_s.value:,.0f}" for peak in profile.peaks)
    return (
        f"`{name}`",
        profile.title,
        profile.reach,
        "-" if memory is None else f"{memory.value / 1024:g} GiB",
        ", ".join(f"{runtime.target} ({', '.join(runtime.precisions)})" for runtime in profile.runtimes),
        "yes" if profile.hold_clocks else "-",
        "; ".join(_rails(profile)) or "-",
        ", ".join(peaks) or "-",
        "-" if bandwidth is None else f"{bandwidth.value:g}",
    )


def _rails(profile: DeviceProfile) -> Iterator[str]:
    for way in dict.fromkeys(rail.way for rail in profile.rails):
        yield f"{way}: {', '.join(rail.name for rail in profile.rails if rail.way is way)}"
