"""What is known of a kind of device: `devices/profiles/*.yaml`, every figure with a source."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from moceir_edge.device_result import RunnerName
from moceir_edge.recipe.yaml_file import read_yaml, validated
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


class Figure(Record):
    """A number and the page, or repository@commit, on which it was read."""

    value: float
    source: Annotated[str, Field(min_length=1)]


class Runtime(Record):
    """A target that the device runs: which library, from and below which version, in which precisions.

    Versions are numbers with points; null is no limit. note: what comes with which system release.
    """

    target: TargetName
    library: str
    from_version: str | None = None
    below_version: str | None = None
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)]
    source: str
    note: str = ""


class Peak(Record):
    """The vendor's best rate of a unit in a precision; a multiply and an add count as one MAC (half a FLOP figure).

    sparse: whether the source counts zeros that are skipped; the value here is the dense one.
    """

    unit: str
    precision: Precision
    gmacs_per_s: Figure


class Rail(Record):
    """Where power is read: the way (tegrastats, sysfs, batterystats, powermetrics) and the name it has there."""

    way: str
    name: str
    what: str


class DeviceProfile(Record):
    """A kind of device.

    memory_mib: of the whole device; usable_share: of it that a program may take (null: half). clocks: commands a person
    runs to hold them, on the device, before a profile, and to let them go. peaks and bandwidth_gb_per_s: for the lower
    bounds of `predicting`; nothing read, nothing predicted. energy figures: of a MAC and of a byte from main memory.
    """

    title: str
    system: str
    reach: Reach
    runner: RunnerName
    python: str | None = None
    memory_mib: Figure | None = None
    usable_share: Figure | None = None
    runtimes: Annotated[tuple[Runtime, ...], Field(min_length=1)]
    hold_clocks: tuple[str, ...] = ()
    free_clocks: tuple[str, ...] = ()
    clocks_source: str | None = None
    rails: tuple[Rail, ...] = ()
    rails_source: str | None = None
    peaks: tuple[Peak, ...] = ()
    bandwidth_gb_per_s: Figure | None = None
    pj_per_mac: dict[Precision, Figure] = Field(default_factory=dict)
    pj_per_byte: Figure | None = None
    notes: tuple[str, ...] = ()

    def runtime(self, target: TargetName) -> Runtime | None:
        """What runs this target there; None where nothing does."""
        return next((runtime for runtime in self.runtimes if runtime.target is target), None)


def read_device_profile(name: str) -> DeviceProfile:
    """A bundled profile by its name, or a file; InputError where there is none, RecipeError with every problem."""
    return validated(read_yaml(find_resource("devices", name)), DeviceProfile)


def profile_name(name: str) -> str:
    """The name of a profile: that of its file."""
    return Path(name).stem
