"""Memory of an ONNX file, measured in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moceir_edge.memory import Memory
from moceir_edge.program.lower import lower
from moceir_edge.targets import memory_probe, onnx_memory
from moceir_edge.targets.onnx_memory import memory_from_peaks
from moceir_edge.targets.onnx_memory import onnx_memory as measured
from moceir_edge.targets.to_onnx import TARGET
from tests.targets.networks import exported, recipe, small_network

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not here: peak memory is read on Linux and macOS")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network for any size."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("memory")
    return folder / exported(TARGET, lower(small_network()), recipe("onnx", size="dynamic"), folder).model


def test_a_line_through_two_peaks() -> None:
    """Rounded up to 10 MiB; a peak that does not grow has no slope."""
    assert memory_from_peaks({100_000: 133.0, 200_000: 233.0}) == Memory(base_mib=40, mib_per_megapixel=1000)
    assert memory_from_peaks({0: 61.0, 500_000: 60.0}) == Memory(base_mib=70, mib_per_megapixel=0)


def test_it_predicts_what_a_larger_picture_takes(model: Path) -> None:
    """Within a third for four times the pixels, and not by the memory of this process."""
    ballast = bytearray(b"x" * 2**30)
    found = measured(model, None)
    assert len(ballast) == 2**30
    assert isinstance(found, Memory)
    _, peak_mib = onnx_memory._probed(model, 1024, 1024)
    assert found.needed_mib(1024, 1024) == pytest.approx(peak_mib, rel=1 / 3)
    assert found.base_mib < 400


def test_a_fixed_size_is_run_once(tmp_path: Path) -> None:
    """The memory with the model loaded, and what its one size adds."""
    artifact = exported(TARGET, lower(small_network()), recipe("onnx", size=(256, 256)), tmp_path)
    found = TARGET.memory(artifact, tmp_path)
    assert isinstance(found, Memory)
    assert found.base_mib > 0
    assert found.mib_per_megapixel > 0


def test_what_cannot_be_run_has_a_reason(tmp_path: Path) -> None:
    """A file that the runtime refuses."""
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert measured(tmp_path / "model.onnx", None) == "the process that measures it ended early (CalledProcessError)"


def test_only_the_runtime_is_loaded() -> None:
    """Neither PyTorch nor this package."""
    script = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-P", "-c", script, memory_probe.__file__]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("torch", "moceir"))]
