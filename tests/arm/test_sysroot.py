"""Setting the emulation up: what is refused, what is told, and what a killed setup leaves."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from moceir_edge.arm import sysroot
from moceir_edge.arm.sysroot import LOCK, READY, Sysroot, qemu_of, read_sysroot, set_up
from moceir_edge.errors import InputError, MissingBackendError, OutputError
from tests.arm.conftest import whole_setup

TOOLS = {"apt-get", "apt-cache", "dpkg", "dpkg-deb"}
Tools = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tests on every machine."""
    monkeypatch.setattr(sysroot, "is_arm", lambda: False)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Programs that stand in for apt and dpkg, each a shell script; the calls that were made come back as lines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(**scripts: str) -> list[str]:
        usual = {"dpkg": "echo amd64", "apt-cache": "echo 'python3.11-minimal - Python'"}
        for name in TOOLS:
            script = folder / name
            body = scripts.get(name.replace("-", "_"), usual.get(name, ""))
            script.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n{body}\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return []

    return make


def test_arm_needs_no_emulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `verify` shows it."""
    monkeypatch.setattr(sysroot, "is_arm", lambda: True)
    with pytest.raises(InputError, match="64-bit Arm itself"):
        set_up(tmp_path / "sys", say=print)


def test_a_system_without_apt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is made."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingBackendError, match="apt-get is not installed"):
        set_up(tmp_path / "sys", say=print)
    assert not (tmp_path / "sys").exists()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_another_folder_is_left_alone(tmp_path: Path, tools: Tools, make: Callable[[Path], None]) -> None:
    """A file, or a folder with something else in it."""
    tools()
    folder = tmp_path / "mine"
    make(folder)
    if folder.is_dir():
        (folder / "thesis.tex").touch()
    with pytest.raises(OutputError, match="is no setup of the Arm emulation"):
        set_up(folder, say=print)


def test_a_folder_with_our_names_in_it_is_still_anothers(tmp_path: Path, tools: Tools) -> None:
    """Many a folder is called site."""
    tools()
    (tmp_path / "mine" / "site").mkdir(parents=True)
    with pytest.raises(OutputError, match="is no setup of the Arm emulation"):
        set_up(tmp_path / "mine", say=print)


def test_no_network_is_told_with_the_reason(tmp_path: Path, tools: Tools) -> None:
    """apt's own last error, and that it can go on."""
    tools(apt_get="echo 'E: Failed to fetch the lists  Temporary failure resolving' >&2; echo 'W: old' >&2; exit 100")
    with pytest.raises(MissingBackendError, match="lists of packages cannot be fetched: E: Failed to fetch") as caught:
        set_up(tmp_path / "sys", say=print)
    assert "goes on where it stopped" in caught.value.remedy
    assert not (tmp_path / "sys" / READY).exists()


def test_a_package_that_is_not_there_is_named(tmp_path: Path, tools: Tools) -> None:
    """After the lists were fetched."""
    script = 'if [ "$1" = install ]; then echo "E: Unable to locate package qemu-user-static:amd64" >&2; exit 100; fi'
    tools(apt_get=script)
    with pytest.raises(MissingBackendError, match="Unable to locate package qemu-user-static"):
        set_up(tmp_path / "sys", say=print)


def test_a_setup_that_stopped_goes_on(tmp_path: Path, tools: Tools) -> None:
    """Its own leftovers are no foreign files; the archives that apt has stay where apt looks for them."""
    tools(apt_get="exit 100")
    for _ in range(2):
        with pytest.raises(MissingBackendError):
            set_up(tmp_path / "sys", say=print)
        archive = tmp_path / "sys" / "apt" / "cache" / "archives" / "partial" / "half.deb"
        archive.touch()
        (tmp_path / "sys" / ".moceir-edge-of-a-kill.json").touch()
    assert archive.exists()


def test_two_setups_do_not_meet(tmp_path: Path, tools: Tools) -> None:
    """The second is told."""
    tools()
    (tmp_path / "sys").mkdir()
    with FileLock(tmp_path / "sys" / LOCK), pytest.raises(OutputError, match="another setup works there"):
        set_up(tmp_path / "sys", say=print)


def test_a_finished_setup_is_kept(tmp_path: Path, tools: Tools) -> None:
    """Nothing is fetched again."""
    tools(apt_get="exit 100")
    made = Sysroot.read(whole_setup(tmp_path / "sys") / READY)
    said: list[str] = []
    assert set_up(tmp_path / "sys", say=said.append) == made
    assert said == [f"{tmp_path / 'sys'}: set up already"]


def test_an_unfinished_setup_is_not_used(tmp_path: Path) -> None:
    """With the command that finishes it."""
    with pytest.raises(InputError, match="no finished setup") as caught:
        read_sysroot(tmp_path)
    assert f"moceir_edge.arm setup {tmp_path}" in caught.value.remedy


@pytest.mark.parametrize("lost", ["root/usr/bin/python3.11", "site/numpy", "site/onnxruntime", "qemu/qemu-aarch64"])
def test_a_setup_that_lost_something_is_made_again(tmp_path: Path, tools: Tools, lost: str) -> None:
    """Not used, not blamed on the artifact, and not called set up already."""
    tools(apt_get="echo 'E: no network' >&2; exit 100")
    folder = whole_setup(tmp_path / "sys")
    (folder / lost).rename(tmp_path / "lost")
    with pytest.raises(InputError, match="QEMU" if "qemu" in lost else lost) as caught:
        read_sysroot(folder)
    assert "set it up again" in caught.value.remedy
    with pytest.raises(MissingBackendError, match="E: no network"):
        set_up(folder, say=print)


def test_a_qemu_that_may_not_be_executed_is_no_setup(tmp_path: Path) -> None:
    """A folder that was copied without modes."""
    folder = whole_setup(tmp_path / "sys")
    (folder / "qemu" / "qemu-aarch64").chmod(0o644)
    with pytest.raises(InputError, match="lacks a QEMU that may be executed"):
        read_sysroot(folder)


@pytest.mark.parametrize("script", ["echo no archive", "exit 2", "tar -c -T /dev/null; exit 2"])
def test_a_damaged_package_of_qemu_is_told(tmp_path: Path, tools: Tools, script: str) -> None:
    """What is no archive, and what dpkg-deb gave up on."""
    fetched = (
        f"mkdir -p {tmp_path}/sys/apt/cache/archives; touch {tmp_path}/sys/apt/cache/archives/qemu-user_1_amd64.deb"
    )
    tools(apt_get=fetched, dpkg_deb=script)
    with pytest.raises(MissingBackendError, match=r"qemu-user_1_amd64\.deb cannot be unpacked"):
        set_up(tmp_path / "sys", say=print)


def test_packages_without_qemu_are_told(tmp_path: Path) -> None:
    """A release may move the program."""
    with pytest.raises(MissingBackendError, match="qemu-aarch64-static"):
        qemu_of(tmp_path)
