"""Results of runs that nobody made, for what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moceir_edge.device_result import ProfileResult


def result(
    runs_ms: Sequence[float] = (10.0,) * 40,
    *,
    cpu_ms: Sequence[float] = (),
    yardstick_ms: Sequence[float] = (),
    artifact: str = "a",
    size: tuple[int, int] = (64, 64),
    model: str = "board",
    threads: int = 1,
    **changes: Any,
) -> ProfileResult:
    """A valid one with these times."""
    middle = {"value": sorted(runs_ms)[len(runs_ms) // 2], "low": min(runs_ms), "high": max(runs_ms)}
    facts = {
        "runner": "python",
        "runner_version": "0.1.0",
        "started_utc": "2026-11-26T02:02:06+00:00",
        "bundle_sha256": "b" * 64,
        "artifact_sha256": artifact * 64,
        "target": "onnx",
        "precision": "float32",
        "tasks": ["derain"],
        "device": {
            "profile": "x86_laptop",
            "model": model,
            "system": "Linux",
            "processor": "cpu",
            "cores": 2,
            "memory_mib": 1000.0,
        },
        "runtime": {"name": "onnxruntime", "version": "1", "provider": "CPUExecutionProvider", "threads": threads},
        "versions": {},
        "latency": {
            "size": size,
            "load_ms": 5.0,
            "first_ms": 20.0,
            "warm_up_ms": [],
            "steady": True,
            "runs_ms": list(runs_ms),
            "cpu_ms": list(cpu_ms),
            "yardstick_ms": list(yardstick_ms),
            "percentiles": dict.fromkeys(("p50", "p90", "p95", "p99"), middle),
            "per_second": 100.0,
        },
        "memory_peak_mib": 100.0,
        "accuracy": [{"name": "0", "task": "derain", "finite": True, "psnr_db": 90.0}],
    }
    return ProfileResult.model_validate({**facts, **changes})
