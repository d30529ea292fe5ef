"""What a device says of a bundle: one result of all runners, written by them as `devices/result.schema.json` says.

Times are wall-clock milliseconds of one picture, from the float32 input in memory to the float32 output in memory,
unless a field says otherwise. A value that the device does not tell is null, never 0.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from moceir_edge.errors import ArtifactError
from moceir_edge.records import Record
from moceir_edge.terms import Precision, TargetName

RESULT_VERSION = 1
RESULT_NAME = "result.json"

Ms = Annotated[float, Field(gt=0)]
"""Of something that cannot take no time."""


class RunnerName(StrEnum):
    """Who ran the bundle and wrote the result."""

    PYTHON = "python"
    ANDROID = "android"
    IOS = "ios"
    BROWSER = "browser"


class Confident(Record):
    """A value and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class DeviceFacts(Record):
    """The device as it describes itself.

    profile: name of the profile in `devices/profiles` that the bundle was made for. serial_sha256: hash of what tells
    two devices of a kind apart, null where nothing does. emulated: an emulator ran it (QEMU, a simulator). clocks: how
    the system sets them (`cpufreq governor schedutil`), null where it does not say.
    """

    profile: str
    model: str
    system: str
    processor: str
    cores: int
    memory_mib: float | None
    serial_sha256: str | None = None
    emulated: bool = False
    clocks: str | None = None


class RuntimeFacts(Record):
    """What computed: the library, its version, its provider or compute units, and threads where it counts them."""

    name: str
    version: str
    provider: str
    threads: int | None = None


class Percentiles(Record):
    """Of the steady runs, in milliseconds, with intervals from the order statistics.

    Runs that follow each other are alike, so the ranks are as far apart as for so many fewer independent runs. Where
    there are too few runs for an end of an interval, it is the fastest or the slowest run, and the interval is too
    short; `notes` say so.
    """

    p50: Confident
    p90: Confident
    p95: Confident
    p99: Confident


class Latency(Record):
    """Runs of one picture of `size` (height, width).

    load_ms: opening the model (building an engine is not in it, see build_ms). first_ms: the first run, which may
    allocate and compile. warm_up_ms: the runs before the device was steady; steady: whether it became so, by
    `criterion`. runs_ms: those that count, in order; began_s: when each began, seconds after the first of them.
    per_second: of pictures, over the sum of these runs. cpu_ms: processor time of each run, of all threads, where the
    processor computes: others at work lengthen a run much more than this. yardstick_ms: processor time, after each
    run, of a fixed piece of arithmetic that has nothing to do with the model: what the processor was worth then. A
    clock that ticks slowly may tell 0 of a short run, which no wall clock does.
    """

    size: tuple[int, int]
    build_ms: float | None = None
    load_ms: float
    first_ms: float
    warm_up_ms: tuple[float, ...]
    steady: bool
    criterion: str = ""
    runs_ms: Annotated[tuple[Ms, ...], Field(min_length=1)]
    began_s: tuple[float, ...] = ()
    cpu_ms: tuple[Annotated[float, Field(ge=0)], ...] = ()
    yardstick_ms: tuple[Ms, ...] = ()
    percentiles: Percentiles
    per_second: float


class Reading(Record):
    """What the device told at a time (seconds since the first steady run began)."""

    at_s: float
    clock_mhz: float | None = None
    gpu_clock_mhz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    others_share: float | None = None


class Energy(Record):
    """Of one picture: of the whole board or of a rail, as `source` says, the idle power included and also told.

    idle_w: before the model was loaded. above_idle_mj: of a picture, without what the idle device would have taken.
    """

    source: str
    mj_per_picture: float
    idle_w: float | None = None
    mean_w: float
    above_idle_mj: float | None = None


class GoldenAccuracy(Record):
    """A golden picture, run in the process that was timed.

    psnr_db: to the full model's output, not clipped, peak 1; null where both are equal, or where it is not finite.
    floor_db: what it has to reach here, null where nobody said. agreement: the guard's, null without one.
    """

    name: str
    task: str
    finite: bool
    psnr_db: float | None
    agreement: float | None = None
    floor_db: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it is what the bundle promises."""
        return self.finite and (self.psnr_db is None or self.floor_db is None or self.psnr_db >= self.floor_db)


class OperatorMs(Record):
    """A kind of operator: mean time in one run, and how many of them run."""

    kind: str
    time_ms: float
    count: int


class ProfileResult(Record):
    """One run of a bundle on a device.

    started_utc: ISO 8601. bundle_sha256: of the bundle's manifest. artifact_sha256: see `artifacts.artifact_sha256`.
    memory_peak_mib: resident, of the process, with what `memory_peak_of` says; memory_base_mib: before the model was
    opened. operators: from the runtime, in a run of its own that is not timed above. invalid: why the times mean
    nothing (throttling, others at work, never steady); empty where they count.
    """

    schema_version: Annotated[int, Field(ge=1)] = RESULT_VERSION
    runner: RunnerName
    runner_version: str
    started_utc: str
    bundle_sha256: str
    artifact_sha256: str
    target: TargetName
    precision: Precision
    tasks: tuple[str, ...]
    device: DeviceFacts
    runtime: RuntimeFacts
    versions: dict[str, str]
    latency: Latency
    memory_peak_mib: float | None
    memory_peak_of: str = ""
    memory_base_mib: float | None = None
    energy: Energy | None = None
    readings: tuple[Reading, ...] = ()
    accuracy: tuple[GoldenAccuracy, ...]
    operators: tuple[OperatorMs, ...] = ()
    invalid: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether its times count."""
        return not self.invalid

    @property
    def passed(self) -> bool:
        """Whether every golden picture is what the bundle promises."""
        return all(golden.passed for golden in self.accuracy)


def read_result(path: Path) -> ProfileResult:
    """What a runner wrote; ArtifactError if it cannot be read, is none, or is of a newer schema."""
    try:
        version = json.loads(path.read_bytes())["schema_version"]
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}", "check the path") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path}: not a result of a runner", "give a result.json that a runner wrote") from error
    if isinstance(version, int) and version > RESULT_VERSION:
        raise ArtifactError(f"{path}: schema {version} is newer than {RESULT_VERSION}", "update moceir-edge")
    return ProfileResult.read(path)
