"""What apt and pip are asked for."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from moceir_edge.arm.packages import ONNXRUNTIME, apt_config, debian_packages, last_line, pip_command, python_in
from moceir_edge.errors import MissingBackendError


@pytest.mark.parametrize(
    ("listing", "found"),
    [
        ("python3.11-minimal - Minimal subset of the Python language (version 3.11)\n", "3.11"),
        ("python3.13-minimal - Minimal subset\npython3.12-minimal - Minimal subset\n", "3.13"),
        ("python3.9-minimal - Minimal subset\npython3.10-minimal - Minimal subset\n", "3.10"),
        ("python3.14-minimal - Minimal subset\npython3.13-minimal - Minimal subset\n", "3.13"),
    ],
)
def test_the_newest_python_with_a_wheel_is_taken(listing: str, found: str) -> None:
    """By number, not by letter; one that is too new has no wheel."""
    assert python_in(listing) == found


@pytest.mark.parametrize("listing", ["", "python3.9-minimal - Minimal subset\n", "libpython3.11-minimal - no python\n"])
def test_a_system_without_such_a_python_is_told(listing: str) -> None:
    """With what it has."""
    with pytest.raises(MissingBackendError, match="no Python for arm64") as caught:
        python_in(listing)
    assert ("3.9" if "3.9" in listing else "none") in caught.value.what
    assert "arm64" in caught.value.remedy


def test_apt_keeps_to_its_folder(tmp_path: Path) -> None:
    """Lists, cache and state lie below it; both architectures; an update that fails is a failure."""
    text = apt_config(tmp_path, host="amd64")
    for what in ("State", "State::Lists", "State::status", "Cache"):
        assert f'Dir::{what} "{tmp_path}/' in text
    assert 'APT::Architectures { "arm64"; "amd64"; };' in text
    assert 'APT::Update::Error-Mode "any";' in text


def test_qemu_is_for_this_machine_and_the_rest_for_arm() -> None:
    """By apt's own words for architectures."""
    names = debian_packages("3.11", host="amd64")
    assert [name for name in names if name.endswith(":amd64")] == ["qemu-user-static:amd64"]
    assert {"python3.11-minimal", "libpython3.11-stdlib"} <= set(names)


def test_pip_takes_wheels_for_arm_alone(tmp_path: Path) -> None:
    """Nothing is built, and nothing lands in this Python."""
    command = pip_command("3.11", tmp_path)
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert f"onnxruntime=={ONNXRUNTIME}" in command
    assert command[command.index("--target") + 1] == str(tmp_path)
    assert "--only-binary=:all:" in command
    platforms = [word for before, word in itertools.pairwise(command) if before == "--platform"]
    assert platforms
    assert all(name.endswith("_aarch64") for name in platforms)


def test_a_message_has_the_error_not_the_warning_after_it() -> None:
    """apt says warnings last."""
    assert (
        last_line(["Reading lists", "E: Unable to locate package x", "W: be careful"])
        == "E: Unable to locate package x"
    )
    assert last_line(["", "no prefix here "]) == "no prefix here"
    assert last_line([]) == "it said nothing"
