"""Two runners in turns, and what becomes of one that ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moceir_edge.errors import InputError, MoceirEdgeError
from moceir_edge.profiling.pairing import in_turns
from moceir_edge.profiling.runner_process import profile_command, refusal

SLOWED = """import sys, time
sys.path.insert(0, {runner!r})
import backend

opened = backend.open_backend


class Slowed:
    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def run(self, image):
        started = time.process_time()
        outputs = self.real.run(image)
        until = time.thread_time() + {share} * (time.process_time() - started)
        while time.thread_time() < until:
            pass
        return outputs


backend.open_backend = lambda *words, **options: Slowed(opened(*words, **options))
import command

sys.exit(command.main(sys.argv[1:]))
"""
"""The bundle's own runner with a back end that works longer after each run, by a share of what the run took."""


def slowed(folder: Path, share: float) -> tuple[str, ...]:
    """The command line of such a runner."""
    script = folder.with_name("slowed.py")
    script.write_text(SLOWED.format(runner=str(folder / "runner.pyz"), share=share))
    words = profile_command(folder, ["--folder", str(folder), "--threads", "1", "--size", "32x32"])
    return (*words[:2], str(script), *words[3:])


def test_runs_are_pairs(unpacked: Path, tmp_path: Path) -> None:
    """As many of each as rounds, spread over sessions; twice the work takes longer, whoever else is at work."""
    plain = profile_command(unpacked, ["--threads", "1", "--size", "32x32"])
    pairs = in_turns(plain, slowed(unpacked, 2.0), tmp_path, rounds=35)
    assert [len(result.latency.runs_ms) for pair in pairs for result in pair] == [18, 18, 17, 17]
    for a, b in pairs:
        assert a.artifact_sha256 == b.artifact_sha256
        assert sum(b.latency.cpu_ms) > 1.5 * sum(a.latency.cpu_ms)
        assert any("in turns with another runner" in note for note in a.notes)
        assert not any(reason.startswith("others at work") for reason in a.invalid)


def test_a_runner_that_refuses_is_heard(unpacked: Path, tmp_path: Path) -> None:
    """In its own words, and the other one is ended."""
    plain = profile_command(unpacked, ["--threads", "1"])
    (unpacked / "artifact" / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"model\.onnx: missing"):
        in_turns(plain, plain, tmp_path, rounds=1)


def test_a_runner_that_crashes_is_our_fault(tmp_path: Path) -> None:
    """Not that of whoever called it."""
    crash = (sys.executable, "-c", "raise SystemExit('Traceback: no such thing')")
    with pytest.raises(MoceirEdgeError, match="ended without a result, and said: Traceback: no such thing") as raised:
        in_turns(crash, crash, tmp_path, rounds=1)
    assert raised.value.exit_code == 1


def test_what_a_runner_says_is_taken_apart() -> None:
    """What, and what to do."""
    found = refusal(["profile: first run", "error: no room; free some space"])
    assert (found.what, found.remedy) == ("no room", "free some space")
