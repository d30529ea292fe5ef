"""`profile` of the runner, started as on a device."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from moceir_edge.device_result import ProfileResult, read_result
from moceir_edge.records import sha256_of_file
from tests.bundling.bundles import ended_after
from tests.devices.scripts import runner_script


def command(folder: Path, *words: str) -> list[str]:
    """With nothing of the package in sight."""
    return [sys.executable, "-I", "-B", str(folder / "runner.pyz"), "profile", "--threads", "1", *words]


def run(folder: Path, *words: str, out: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`profile` of a bundle's folder; the result goes beside it."""
    place = ["--out", str(out or folder.parent / "result.json")]
    return subprocess.run(command(folder, *place, *words), check=False, capture_output=True, text=True)


def floors(folder: Path, floor_db: float) -> None:
    """Say in the manifest what golden pictures have to reach."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for row in manifest["golden"]:
        row["floor_db"] = floor_db
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_result_is_what_the_schema_says(unpacked: Path) -> None:
    """Times, memory, operators, accuracy, versions and what was run; progress on stderr, nothing on stdout."""
    ended = run(unpacked, "--runs", "25")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "25 runs, median" in ended.stderr
    result = read_result(unpacked.parent / "result.json")
    manifest = json.loads((unpacked / "manifest.json").read_bytes())
    assert result.bundle_sha256 == sha256_of_file(unpacked / "manifest.json")
    assert (result.artifact_sha256, result.runner_version) == (manifest["artifact_sha256"], manifest["runner_version"])
    check_latency(result)
    assert result.latency.size == np.load(unpacked / manifest["golden"][0]["input"]).shape[2:]
    assert result.memory_peak_mib is not None
    assert result.memory_base_mib is not None
    assert result.memory_base_mib < result.memory_peak_mib
    for golden, given in zip(result.accuracy, manifest["golden"], strict=True):
        assert golden.finite
        assert golden.psnr_db is None or golden.psnr_db > 100
        assert golden.floor_db == given["floor_db"]
    conv = next(row for row in result.operators if "Conv" in row.kind)
    assert conv.count > 0
    assert conv.time_ms > 0
    assert {"python", "numpy", "onnxruntime"} <= set(result.versions)
    assert result.runtime.threads == 1
    assert sorted(path.name for path in unpacked.parent.iterdir()) == [unpacked.name, "result.json"]


def check_latency(result: ProfileResult) -> None:
    """With the processor's side of every run."""
    latency = result.latency
    assert len(latency.runs_ms) == len(latency.cpu_ms) == len(latency.yardstick_ms) == len(latency.began_s) == 25
    assert latency.began_s == tuple(sorted(latency.began_s))
    assert latency.load_ms > 0
    assert len(latency.warm_up_ms) >= 10
    points = latency.percentiles
    for point in (points.p50, points.p90, points.p95, points.p99):
        assert point.low <= point.value <= point.high
    assert points.p50.value <= points.p90.value <= points.p99.value <= max(latency.runs_ms)
    assert latency.per_second == pytest.approx(1e3 * 25 / sum(latency.runs_ms))


def test_another_size_is_cut_from_mirrored_golden_pictures(unpacked: Path) -> None:
    """Larger and smaller than the picture, in height x width."""
    assert run(unpacked, "--runs", "1", "--size", "32x160").returncode == 0
    assert read_result(unpacked.parent / "result.json").latency.size == (32, 160)


def test_a_picture_below_its_floor_fails_and_is_told(unpacked: Path) -> None:
    """Exit 3, and the result is there with what was found."""
    floors(unpacked, 500.0)
    ended = run(unpacked, "--runs", "1")
    result = read_result(unpacked.parent / "result.json")
    if result.accuracy[0].psnr_db is None:
        pytest.skip("the device's picture is exactly the full model's")
    assert ended.returncode == 3
    assert "dB to the full model, and at least 500.0 were expected" in ended.stderr
    assert not result.passed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "60x64"], "--size 60x64 is no multiple of 8"),
        (["--size", "64"], "'64' is no size as in 480x640"),
        (["--size", "80000x80000"], "80000x80000 is 6400000000 pixels, and the limit is 67108864"),
        (["--threads", "99999999999"], "99999999999 threads are more than 1024"),
        (["--runs", "0"], "'0' is no whole number from 1"),
        (["--seconds", "nan"], "'nan' is no number above 0"),
        (["--out", "nowhere/result.json"], "nowhere/result.json: cannot be written"),
    ],
)
def test_what_it_cannot_do_is_refused(words: list[str], says: str, unpacked: Path) -> None:
    """A line, exit 2, nothing written."""
    ended = subprocess.run(command(unpacked, *words), check=False, capture_output=True, text=True, cwd=unpacked.parent)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in unpacked.parent.iterdir()] == [unpacked.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_profile_leaves_nothing(number: signal.Signals, unpacked: Path) -> None:
    """Ctrl-C, or a connection that drops, in the middle of the timed runs."""
    words = command(unpacked, "--seconds", "600", "--out", str(unpacked.parent / "result.json"))
    inherited = signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background ignore it
    try:
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(" runs"):
            break
    process.send_signal(number)
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 128 + number
    assert "Traceback" not in said
    assert [path.name for path in unpacked.parent.iterdir()] == [unpacked.name]


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGTERM)", "signal.default_int_handler(2, None)"])
def test_an_interrupt_while_operators_are_timed_leaves_nothing(
    ending: str, unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where temporary files go."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    begun = f"lambda *given: {ending} if given[-1] else load(*given)"
    program = f"import os, signal, onnx_backend as b; load = b.loaded; b.loaded = {begun}"
    out = tmp_path / "result.json"
    ended = ended_after(program, "profile", "--folder", unpacked, "--runs", "1", "--threads", "1", "--out", out)
    assert ended.returncode in (130, 143), ended.stderr
    assert not list((tmp_path / "temporary").glob(".moceir-edge-*"))
    assert not out.exists()


def test_the_timed_size_is_the_golden_pictures_rounded_down(tmp_path: Path) -> None:
    """To what the network takes, as on every other device; a picture below that is mirrored."""
    result = runner_script("result")
    manifest = {"golden": [{"input": "a.npy", "reference": "b.npy"}]}
    for shape, expected in (((33, 47), (32, 40)), ((64, 72), (64, 72)), ((5, 300), (8, 296))):
        np.save(tmp_path / "a.npy", np.zeros((1, 3, *shape), np.uint8))
        np.save(tmp_path / "b.npy", np.zeros((1, 3, *shape), np.float32))
        size = result.size_of(SimpleNamespace(size=None), manifest, tmp_path, None)
        assert size == expected
        assert result.picture(tmp_path, manifest, size).shape == (3, *expected)
