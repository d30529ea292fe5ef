"""What a picture takes, and what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moceir_edge import memory
from moceir_edge.memory import Memory, safe_memory_mib
from tests.devices.scripts import runner_script


def test_a_line_through_base_and_slope() -> None:
    """1000 x 2000 pixels are two megapixels."""
    assert Memory(base_mib=100, mib_per_megapixel=300).needed_mib(1000, 2000) == pytest.approx(700)


@pytest.mark.skipif(sys.platform != "linux", reason="not here: /proc is Linux's")
def test_half_of_what_is_free() -> None:
    """Never more than the machine has."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 1024
    found = safe_memory_mib()
    assert found is not None
    assert 0 < found < total


def test_a_container_has_less(tmp_path: Path) -> None:
    """Its own limit less what it uses; none, and no control groups, are no limit."""
    assert memory._group_mib(tmp_path) is None
    (tmp_path / "memory.current").write_text(f"{100 * 2**20}\n")
    for text, expected in (("max\n", None), (f"{700 * 2**20}\n", 600.0), (f"{50 * 2**20}\n", 0.0)):
        (tmp_path / "memory.max").write_text(text)
        assert memory._group_mib(tmp_path) == expected
        assert runner_script("memory").group_mib(tmp_path) == expected


def test_files_that_are_kept_for_nobody_are_free(tmp_path: Path) -> None:
    """A container that has read large files is not out of memory: the kernel gives that back when it is asked."""
    (tmp_path / "memory.current").write_text(f"{650 * 2**20}\n")
    (tmp_path / "memory.max").write_text(f"{700 * 2**20}\n")
    (tmp_path / "memory.stat").write_text(f"anon {50 * 2**20}\nfile {600 * 2**20}\ninactive_file {500 * 2**20}\n")
    assert memory._group_mib(tmp_path) == 550.0
    assert runner_script("memory").group_mib(tmp_path) == 550.0
