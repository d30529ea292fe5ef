"""Energy of an Android app from `adb shell dumpsys batterystats`: what the system estimates from its power profile.

Before the app runs: `adb shell dumpsys batterystats --reset`, with the phone off its charger (over Wi-Fi, or `adb shell
dumpsys battery unplug`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.device_result import Energy, ProfileResult
from moceir_edge.errors import InputError

_SECTION = re.compile(r"Estimated power use \(mAh\):\n((?:[ \t]+.+\n?)+)")
_FIGURE = r"(\d+(?:[.,]\d+)?)"
_HEAD = re.compile(rf"Capacity: {_FIGURE}, Computed drain: {_FIGURE}")
_UID = re.compile(rf"^\s*U[iI][dD] (\w+): {_FIGURE}", re.MULTILINE)


@dataclass(frozen=True)
class Drain:
    """Milliampere-hours: of the battery when full, of everything since the reset, and by user id of apps."""

    capacity_mah: float
    computed_mah: float
    by_uid: dict[str, float]


def read_dump(path: Path) -> str:
    """The text of a dump; InputError where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check the path") from error


def drain_from_text(text: str) -> Drain:
    """What a dump estimates; InputError for one without estimates."""
    section = _SECTION.search(text)
    head = _HEAD.search(section[1]) if section else None
    if section is None or head is None:
        raise InputError("no estimated power use is in the dump", "give what adb shell dumpsys batterystats prints")
    by_uid = {uid: _number(value) for uid, value in _UID.findall(section[1])}
    return Drain(_number(head[1]), _number(head[2]), by_uid)


def with_energy(result: ProfileResult, text: str, *, uid: str, volts: float) -> ProfileResult:
    """The result with the energy that a dump estimates for an app, over every picture it ran; volts: of the battery."""
    if not 0 < volts < 100:
        raise InputError(f"{volts} volts are no battery of a phone", "give its nominal voltage, as in 3.85")
    by_uid = drain_from_text(text).by_uid
    if uid not in by_uid:
        raise InputError(
            f"the dump has no app {uid}", f"give one of {', '.join(by_uid) or 'none: nothing was drained'}"
        )
    latency = result.latency
    times = (latency.first_ms, *latency.warm_up_ms, *latency.runs_ms)
    joules = by_uid[uid] * 3.6 * volts
    energy = Energy(
        source=f"batterystats, app {uid} at {volts:g} V: estimated by the system, not measured",
        mj_per_picture=1e3 * joules / (len(times) + len(result.accuracy)),
        mean_w=1e3 * joules / sum(times),
    )
    return result.model_copy(update={"energy": energy})


def _number(text: str) -> float:
    """Of a phone's language: 81,8 or 81.8."""
    return float(text.replace(",", "."))
