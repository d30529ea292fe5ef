"""Commands whose pictures are shared by the processes that torchrun starts: the same numbers, told once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import Captured, result_of

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "moceir_edge"]


def by_two(*words: str) -> dict[str, Any]:
    """The one object that two processes print together."""
    done = subprocess.run([*LAUNCH, *words, "--json", "-q"], check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def assert_alike(one: Any, other: Any) -> None:
    """Equal but for rounding: threads share sums in another order."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_alike(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_alike(mine, its)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)
    else:
        assert one == other


def test_two_processes_evaluate_as_one(world: Path, capfd: Captured) -> None:
    """Three pictures, so that the shares differ."""
    words = ("evaluate", "model.safetensors", "--data", "data")
    assert_alike(by_two(*words), result_of([*words, "--threads", "1"], capfd))


def test_two_processes_observe_as_one(world: Path, tmp_path: Path, capfd: Captured) -> None:
    """Routes, relevance and noise, and one file."""
    words = ["observe", "model.safetensors", "--data", "data"]
    shared = by_two(*words, "--out", str(tmp_path / "shared.json"))
    alone = result_of([*words, "--out", str(tmp_path / "alone.json")], capfd)
    del shared["path"], alone["path"]
    assert shared["relevance"]["layers"]
    assert shared["noise"]["tasks"]
    assert_alike(shared, alone)
    assert_alike(*(json.loads((tmp_path / f"{name}.json").read_text()) for name in ("shared", "alone")))
