"""What the app for iOS has to answer: `python -m tests.devices.ios_vectors` writes it where `swift test` reads it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from moceir_edge.metrics import psnr_db
from moceir_edge.resources import resource
from moceir_edge.runner import Image, pad
from moceir_edge.tile_plan import starts
from moceir_edge.tiling import fade
from tests.picture_vectors import AddsMean, restore_pixels

FILE = Path(__file__).parents[2] / "devices/ios/Core/Tests/MoceirEdgeCoreTests/vectors.json"

PADDED = [((5, 7), (8, 8)), ((3, 10), (8, 16)), ((8, 8), (8, 8)), ((1, 1), (16, 8))]
RESTORED = [((50, 70), (72, 72)), ((100, 130), (72, 80)), ((64, 150), (80, 96))]
LENGTHS = [(8, 64), (64, 64), (65, 64), (100, 64), (1000, 256), (257, 256)]
SAMPLES = 60


def picture(height: int, width: int) -> Image:
    """(3, H, W): value i of the plane order is (37 i mod 256) / 255, so that nobody has to store it."""
    steps = np.arange(3 * height * width, dtype=np.int64) * 37 % 256
    return steps.astype(np.float32).reshape(3, height, width) / np.float32(255)


def vectors() -> dict[str, Any]:
    """Cases with their answers."""
    return {
        "pad": [
            {"shape": shape, "size": size, "data": pad(picture(*shape), size).ravel().tolist()}
            for shape, size in PADDED
        ],
        "starts": [{"length": n, "side": side, "starts": starts(n, side)} for n, side in LENGTHS],
        "fade": {"shape": (40, 72), "data": _sampled(fade((40, 72)))},
        "restore": [_restored(shape, size) for shape, size in RESTORED],
        "psnr": {"shape": (8, 16), "db": psnr_db(picture(8, 16), picture(8, 16) * np.float32(0.5))},
        "times": [_judged(name, runs_ms) for name, runs_ms in _times().items()],
    }


def _times() -> dict[str, list[float]]:
    """Runs as devices make them."""
    random = np.random.default_rng(0)
    noise = np.exp(random.normal(0, 0.02, 60))
    times = {
        "steady": 20 * noise,
        "falling": 20 * noise * np.linspace(2, 1, 60),
        "throttled": 20 * noise * np.where(np.arange(60) < 30, 1, 1.3),
        "disturbed": 20 * noise * np.where(random.random(60) < 0.2, 1.5, 1),
        "drifting": 20 * noise * (1 + 0.1 * np.sin(np.arange(60) / 6)),
        "few": 20 * noise[:7],
        "equal": np.full(12, 5.0),
        "equal, but for rounding": np.full(200, 5.1),  # the logarithm and its mean differ in their last bits
    }
    return {name: [round(float(value), 4) for value in values] for name, values in times.items()}


def _judged(name: str, runs_ms: list[float]) -> dict[str, Any]:
    steady = _steady()
    ends = {key: steady.interval(runs_ms, share)[0] for key, share in (("median", 0.5), ("p95", 0.95))}
    return {
        "name": name,
        "runs_ms": runs_ms,
        "steady": bool(steady.is_steady(runs_ms)),
        "slower_later": steady.slower_later(runs_ms),
        **{key: [found["value"], found["low"], found["high"]] for key, found in ends.items()},
    }


def _steady() -> ModuleType:
    """The runner's judgement of times, as the device imports it."""
    folder = str(resource("devices") / "runner")
    sys.path.insert(0, folder)
    try:
        import steady  # type: ignore[import-not-found]
    finally:
        sys.path.remove(folder)
    return steady


def _restored(shape: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    restored = restore_pixels(AddsMean(size), picture(*shape))
    return {"shape": shape, "size": size, "samples": _sampled(restored)}


def _sampled(values: Image) -> list[tuple[int, float]]:
    """Places in plane order, evenly spread, and what stands there."""
    places = np.linspace(0, values.size - 1, SAMPLES).astype(int)
    return [(int(place), float(values.flat[place])) for place in places]


def text() -> str:
    """The file's text."""
    return json.dumps(vectors(), separators=(",", ":")) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
