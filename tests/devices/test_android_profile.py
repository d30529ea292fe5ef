"""What the Android app measures, and what it makes of it: the same arithmetic as on other devices, one result."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from moceir_edge.artifacts import artifact_sha256
from moceir_edge.device_result import ProfileResult, RunnerName
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import resource
from tests.devices.bundles import PHONE, phone_bundle, unpacked
from tests.devices.jvm import HERE, answers

RANDOM = np.random.default_rng(0)
ALIKE = (10 + RANDOM.normal(0, 0.2, 60)).tolist()
COOLING = (10 + 5 * np.exp(-np.arange(60) / 4)).tolist()
SLOWER = [*ALIKE[:30], *(1.3 * value for value in ALIKE[30:])]
DRIFTING = (10 + np.cumsum(RANDOM.normal(0, 0.1, 60))).tolist()
SERIES = {"alike": ALIKE, "cooling": COOLING, "slower": SLOWER, "drifting": DRIFTING, "same": [5.0] * 20}
FALLING = [2000.0] * 8 + [1500.0] * 8


@pytest.fixture(scope="module")
def steady() -> ModuleType:
    """The Python runner's module."""
    path = resource("devices") / "runner" / "steady.py"
    spec = importlib.util.spec_from_file_location("steady_of_the_runner", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody changes."""
    return phone_bundle(tmp_path_factory.mktemp("bundle"))


def test_steadiness_is_that_of_the_python_runner(steady: ModuleType) -> None:
    """When the warm-up ends, for every length of every series; and when the later half is slower."""
    lengths = {name: range(8, len(runs) + 1, 4) for name, runs in SERIES.items()}
    cases = [runs[:length] for name, runs in SERIES.items() for length in lengths[name]]
    found = answers(*({"ask": "steady", "runs": runs} for runs in cases))
    assert found == [bool(steady.is_steady(runs)) for runs in cases]
    assert {True, False} == set(found)
    slower = answers(*({"ask": "slower", "runs": runs} for runs in SERIES.values()))
    assert slower == [
        pytest.approx(value) if (value := steady.slower_later(runs)) else None for runs in SERIES.values()
    ]
    assert sum(value is not None for value in slower) == 1


def test_percentiles_are_those_of_the_python_runner(steady: ModuleType) -> None:
    """Value and both ends of the interval, wide where runs in a row are alike, and whether there were runs for it."""
    cases = [(runs, share) for runs in SERIES.values() for share in (0.5, 0.9, 0.95, 0.99)]
    found = answers(*({"ask": "interval", "runs": runs, "share": share} for runs, share in cases))
    for each, (runs, share) in zip(found, cases, strict=True):
        wanted, enough = steady.interval(runs, share)
        assert each.pop("enough") is bool(enough)
        assert each == pytest.approx(wanted)


def verdict(**changes: Any) -> list[str]:
    """Reasons why steady runs that are alike mean nothing."""
    asked = {"ask": "verdict", "runs": ALIKE, "steady": True, "readings": [], "obstacles": [], **changes}
    (found,) = answers(asked)
    return [str(reason) for reason in found]


def test_times_count_unless_something_is_in_the_way() -> None:
    """Heat, a falling clock, slower runs, others at work, a device that never settles: each is named, nothing else."""
    calm = [{"thermal": 0, "others_share": 0.02, "clock_mhz": 2000.0}] * 8
    fell = [{"clock_mhz": clock, "thermal": 1} for clock in FALLING]
    hot = [{"clock_mhz": clock, "temperature_c": 80.0} for clock in FALLING]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"readings": [*calm, {"thermal": 2}]}, "throttled: the thermal status was moderate"),
        ({"readings": fell}, "throttled: the clock fell from 2000 to 1500 MHz"),
        ({"readings": hot}, "throttled: the clock fell from 2000 to 1500 MHz"),
        ({"readings": [{"others_share": 0.4}, {"others_share": 0.2}]}, "others were at work: 30 %"),
        ({"runs": SLOWER}, "throttled: the later half of the runs is"),
        ({"steady": False}, "never steady"),
        ({"obstacles": ["the battery saver is on"]}, "the battery saver is on"),
    ]
    assert verdict(readings=calm) == []
    for changes, said in cases:
        (reason,) = verdict(**changes)
        assert reason.startswith(said)


def test_a_cool_phone_is_not_throttled() -> None:
    """A clock that falls without heat is no reason, and neither is throttling that nobody feels: that is a note."""
    fell = [{"clock_mhz": clock, "thermal": 0, "temperature_c": 31.0} for clock in FALLING]
    light = [{"clock_mhz": 2000.0, "thermal": 1}] * 8
    assert verdict(readings=fell) == verdict(readings=light) == []
    cool, warm, hot = answers(
        *({"ask": "remarks", "readings": readings} for readings in (fell, light, [*light, {"thermal": 3}]))
    )
    assert cool == hot == []
    assert warm == ["the thermal status was light: the phone began to slow down"]


def test_power_is_told_only_where_the_battery_gives_it() -> None:
    """Microamperes times millivolts, whatever the sign means; none while it charges or where nothing is told."""
    unknown = -(2**31)
    cases = [
        (-850_000, 3900, False),
        (850_000, 3900, False),
        (850_000, 3900, True),
        (unknown, 3900, False),
        (0, 3900, False),
    ]
    found = answers(
        *(
            {"ask": "watts", "microamperes": now, "millivolts": volts, "plugged": plugged}
            for now, volts, plugged in cases
        )
    )
    assert found == [pytest.approx(3.315), pytest.approx(3.315), None, None, None]


def test_what_linux_tells(tmp_path: Path) -> None:
    """The fastest core's clock, the peak of memory, and what its threads waited; null where nothing is told."""
    for core, kilohertz in enumerate((1_800_000, 2_910_000)):
        folder = tmp_path / "sys" / "devices" / "system" / "cpu" / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{kilohertz}\n")
        (folder / "scaling_governor").write_text("sched_pixel\n")
    (tmp_path / "proc" / "self" / "task" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "task" / "7" / "schedstat").write_text("3000000 1000000 12\n")
    (tmp_path / "proc" / "self" / "status").write_text("Name:\tx\nVmHWM:\t  524288 kB\nVmRSS:\t 1024 kB\n")
    told, silent = answers({"ask": "linux", "root": str(tmp_path)}, {"ask": "linux", "root": str(tmp_path / "none")})
    assert told == {"clock_mhz": 2910.0, "governor": "cpufreq governor sched_pixel", "peak_mib": 512.0, "waiting": 0.25}
    assert set(silent.values()) == {None}


def test_what_the_app_is_asked_with() -> None:
    """Files in its own folder alone, numbers that are numbers: else one line says what to give."""
    folder = "/sdcard/Android/data/io.moceir.edge/files"
    good = {"out": f"{folder}/visit/result.json", "runs": "30", "size": "256x320", "threads": "4"}
    wrong = {
        "out is missing": {"out": None},
        "out /data/x is outside of the app's folder; put it below": {"out": "/data/x"},
        f"out {folder}/../x is outside": {"out": f"{folder}/../x"},
        f"out {folder} is outside": {"out": folder},
        "runs many is no number": {"runs": "many"},
        "seconds -1 is no number": {"seconds": "-1"},
        "size 256 is none; give HxW": {"size": "256"},
    }
    asked = [{"ask": "request", "folder": folder, "words": {**good, **words}} for words in ({}, *wrong.values())]
    fine, *refused = answers(*asked)
    assert fine == {"out": good["out"], "runs": 30, "seconds": 10, "size": [256, 320], "threads": 4}
    for found, said in zip(refused, wrong, strict=True):
        assert found["problem"].startswith(said)


def test_a_real_model_is_profiled_as_every_runner_tells_it(archive: Path, steady: ModuleType, tmp_path: Path) -> None:
    """A bundle goes in, a result comes out that the package reads; the model is run by ONNX Runtime beside the JVM."""
    folder = unpacked(archive, tmp_path)
    command = [sys.executable, str(HERE / "piped_model.py")]
    asked = {"path": str(archive), "scratch": str(tmp_path / "scratch"), "out": str(tmp_path / "out" / "result.json")}
    assert answers({"ask": "profile", "runs": 25, "command": command, **asked}) == ["written"]
    result = ProfileResult.read(tmp_path / "out" / "result.json")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["result.json"]
    assert result.runner is RunnerName.ANDROID
    assert result.bundle_sha256 == sha256_of_file(folder / "manifest.json")
    assert result.artifact_sha256 == artifact_sha256(folder / "artifact")
    assert result.device.profile == PHONE
    assert result.latency.size == (32, 40)
    assert len(result.latency.runs_ms) == 25
    assert result.latency.per_second == pytest.approx(25e3 / sum(result.latency.runs_ms))
    assert len(result.latency.warm_up_ms) >= 10
    assert result.latency.percentiles.p50.value == pytest.approx(float(np.median(result.latency.runs_ms)))
    assert result.latency.criterion == steady.CRITERION
    assert result.latency.load_ms > 0
    assert result.memory_peak_mib is not None
    assert result.energy is not None
    assert result.energy.mj_per_picture == pytest.approx(2000 / result.latency.per_second)
    assert {"Conv", "MatMul"} <= {operator.kind for operator in result.operators}
    for golden, told in zip(
        json.loads((folder / "manifest.json").read_bytes())["golden"], result.accuracy, strict=True
    ):
        assert (told.name, told.task, told.finite) == (golden["name"], golden["task"], True)
        assert told.psnr_db is None or told.psnr_db > 100
        assert told.agreement is not None


def test_a_picture_that_is_no_picture_is_not_equal(archive: Path, tmp_path: Path) -> None:
    """Where a reference holds NaN nothing is compared, and nothing passes."""
    folder = unpacked(archive, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    reference = folder / manifest["golden"][1]["reference"]
    pixels = np.load(reference)
    pixels[0, 0, 0, 0] = np.nan
    np.save(reference, pixels)
    manifest["files"][manifest["golden"][1]["reference"]]["sha256"] = sha256_of_file(reference)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    command = [sys.executable, str(HERE / "piped_model.py")]
    asked = {"path": str(folder), "scratch": str(tmp_path / "scratch"), "out": str(tmp_path / "out" / "result.json")}
    assert answers({"ask": "profile", "runs": 20, "command": command, **asked}) == ["written"]
    fine, none = ProfileResult.read(tmp_path / "out" / "result.json").accuracy
    assert fine.finite
    assert (none.finite, none.psnr_db) == (False, None)


def test_a_runtime_that_is_too_old_is_refused(archive: Path, tmp_path: Path) -> None:
    """Before anything is timed; nothing is written."""
    needs = {"runtime": "onnxruntime", "from_version": "99", "below_version": None}
    folder = unpacked(archive, tmp_path, needs=needs)
    command = [sys.executable, str(HERE / "piped_model.py")]
    asked = {"path": str(folder), "scratch": str(tmp_path / "scratch"), "out": str(tmp_path / "out" / "result.json")}
    (found,) = answers({"ask": "profile", "runs": 25, "command": command, **asked})
    assert "the bundle needs 99 or later" in found["problem"]
    assert not (tmp_path / "out").exists()
