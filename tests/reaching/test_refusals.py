"""Devices that cannot be used: each says what is wrong and what to do, and keeps nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moceir_edge.errors import DeviceError, GateError, MoceirEdgeError
from moceir_edge.reaching.fleet import visit_all
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Adb, Place, Ssh
from moceir_edge.reaching.visit import visit
from moceir_edge.resources import bundled
from tests.reaching.bundles import QUICK, Members, changed_bundle, small_bundle
from tests.reaching.computers import Network, free_port, new_key


def refused(place: Place, bundle: Path, patience: Patience, *, python: str = sys.executable) -> MoceirEdgeError:
    """What a visit that fails says."""
    with pytest.raises(MoceirEdgeError) as raised:
        visit(place, bundle, arguments=QUICK, python=python, patience=patience)
    return raised.value


def test_unreachable_device_is_told_at_once(network: Network, bundle: Path, patience: Patience) -> None:
    """Nobody listens; that is no drop-out, so there is no second attempt."""
    error = refused(Ssh("127.0.0.1", port=free_port()), bundle, patience)
    assert isinstance(error, DeviceError)
    assert "cannot be reached" in error.what
    assert "Connection refused" in error.what


def test_unknown_name_is_told(network: Network, bundle: Path, patience: Patience) -> None:
    """A name that no resolver has."""
    assert "check the name" in refused(Ssh("nobody.invalid"), bundle, patience).remedy


def test_unknown_host_key_is_not_taken_on_trust(network: Network, bundle: Path, patience: Patience) -> None:
    """The message says how to compare and add it."""
    computer = network.computer("pi", known=False)
    error = refused(computer.place, bundle, patience)
    assert "its host key is not known" in error.what
    assert f"ssh-keyscan -p {computer.port} 127.0.0.1" in error.remedy
    assert "compare" in error.remedy
    assert computer.left() == []
    assert network.known.read_text() == ""


def test_changed_host_key_is_refused(network: Network, bundle: Path, patience: Patience) -> None:
    """Somebody in between has another key than the one that is known."""
    computer = network.computer("pi")
    computer.switch_off()
    computer.key.unlink()
    new_key(computer.key)
    computer.switch_on()
    error = refused(computer.place, bundle, patience)
    assert "someone in between" in error.what
    assert "SHA256:" in error.what
    assert f"ssh-keygen -R '[127.0.0.1]:{computer.port}'" in error.remedy


def test_connection_of_the_users_own_is_not_taken_over(
    network: Network, bundle: Path, patience: Patience, tmp_path: Path
) -> None:
    """It was opened with a password, say, or before the host's key changed."""
    computer = network.computer("pi")
    with network.configuration.open("a") as stream:
        stream.write(f"  ControlPath {tmp_path / 'own'}\n")
    words = ["ssh", "-F", str(network.configuration), "-p", str(computer.port), "-M", "-N", "-f", "127.0.0.1"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    network.known.write_text("")
    assert "its host key is not known" in refused(computer.place, bundle, patience).what


def test_refused_key_is_told(network: Network, bundle: Path, patience: Patience, tmp_path: Path) -> None:
    """No password is asked for."""
    new_key(tmp_path / "other")
    computer = network.computer("pi")
    (network.key.with_suffix(".pub")).write_text((tmp_path / "other.pub").read_text())
    error = refused(computer.place, bundle, patience)
    assert "refused the key" in error.what
    assert "ssh-copy-id" in error.remedy


def test_login_without_a_shell_is_told(network: Network, bundle: Path, patience: Patience) -> None:
    """A user who may only copy files, say."""
    computer = network.computer("pi", more='ForceCommand echo "This account is for files only."')
    assert "no commands of a POSIX shell" in refused(computer.place, bundle, patience).what


@pytest.mark.parametrize("python", ["python9", "/nowhere/python3"])
def test_device_without_python_is_told(python: str, network: Network, bundle: Path, patience: Patience) -> None:
    """By the name that was looked for, and before anything goes there."""
    computer = network.computer("pi")
    error = refused(computer.place, bundle, patience, python=python)
    assert f"no Python is there under the name {python}" in error.what
    assert computer.left() == []


@pytest.mark.parametrize("python", ["", "-c", "python3; reboot", "$(id)", "python3\nid"])
def test_hostile_names_of_a_python_are_refused(python: str, bundle: Path, patience: Patience) -> None:
    """They get to no device."""
    assert "is no name of a Python" in refused(Ssh("pi"), bundle, patience, python=python).what


def test_device_without_the_runtime_is_told(network: Network, bundle: Path, patience: Patience, tmp_path: Path) -> None:
    """The runner's own words, with the device's name before them."""
    computer = network.computer("pi")
    venv.create(tmp_path / "bare", with_pip=False)
    error = refused(computer.place, bundle, patience, python=str(tmp_path / "bare" / "bin" / "python"))
    assert isinstance(error, DeviceError)
    assert error.what.startswith(f"{computer.place}: check: onnxruntime does not load")
    assert "pip install" in error.remedy
    assert computer.left() == []


def test_device_with_another_version_of_the_runtime_is_told(
    network: Network, artifact: Path, patience: Patience, tmp_path: Path
) -> None:
    """A profile asks for one that does not exist yet."""
    profile = tmp_path / "future.yaml"
    profile.write_text(
        bundled("devices", "x86_laptop").read_text().replace('from_version: "1.16"', 'from_version: "99.0"')
    )
    bundle = small_bundle(artifact, tmp_path / "future.tar.gz", device=str(profile))
    computer = network.computer("pi")
    error = refused(computer.place, bundle, patience)
    assert "the bundle needs 99.0 or later" in error.what
    assert "onnxruntime>=99.0" in error.remedy
    assert computer.left() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"not here: this user cannot mount a small disk: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_device_without_space_is_told_before_the_upload(
    network: Network, bundle: Path, patience: Patience, small_disk: Path
) -> None:
    """What is needed is known: the file, everything in it, and a result."""
    computer = network.computer("pi", home=small_disk)
    error = refused(computer.place, bundle, patience)
    assert "no space: " in error.what
    assert "MiB are needed" in error.what
    assert computer.left() == []


def test_disk_that_is_full_already_is_told(
    network: Network, bundle: Path, patience: Patience, small_disk: Path
) -> None:
    """Not even the names of a visit can be written."""
    computer = network.computer("pi", home=small_disk)
    with (small_disk / "notes.txt").open("wb") as stream, pytest.raises(OSError, match="space"):
        stream.write(bytes(2 << 20))
    error = refused(computer.place, bundle, patience)
    assert "no space: 0.0 MiB are free" in error.what
    assert computer.left() == []


def test_python_that_cannot_tell_what_is_there_is_told(
    network: Network, bundle: Path, patience: Patience, tmp_path: Path
) -> None:
    """Its standard library is not whole: the visit ends there, and takes nothing for absent."""
    broken = tmp_path / "python"
    broken.write_text(f'#!/bin/sh\n[ "$1" != -I ] || {{ echo "No module named hashlib" >&2; exit 1; }}\n'
                      f'exec {sys.executable} "$@"\n')  # fmt: skip
    broken.chmod(0o755)
    computer = network.computer("pi")
    error = refused(computer.place, bundle, patience, python=str(broken))
    assert "enter: No module named hashlib" in error.what
    assert computer.left() == []


def test_result_that_is_none_is_told(network: Network, bundle: Path, patience: Patience, tmp_path: Path) -> None:
    """A runner of another version, say, that writes other fields."""
    program = (
        "def profile(folder, manifest, given):\n    given.out.write_text('{\"schema_version\": 1}')\n    return 0\n"
    )
    strange = changed_bundle(
        bundle, tmp_path / "strange.tar.gz", lambda files: replace_in_runner(files, "result.py", program)
    )
    computer = network.computer("pi")
    error = refused(computer.place, strange, patience)
    assert "not one of devices/result.schema.json" in error.what
    assert computer.left() == []


def test_runner_that_is_killed_is_told(network: Network, bundle: Path, patience: Patience, tmp_path: Path) -> None:
    """As systems do it that run out of memory; the same would happen again, so there is no second attempt."""
    program = "import os\ndef profile(folder, manifest, given):\n    os.kill(os.getpid(), 9)\n"
    killed = changed_bundle(
        bundle, tmp_path / "killed.tar.gz", lambda files: replace_in_runner(files, "result.py", program)
    )
    computer = network.computer("pi")
    error = refused(computer.place, killed, patience)
    assert "profile: it was killed there (SIGKILL)" in error.what
    assert "memory" in error.remedy
    assert computer.left() == []


def test_device_that_is_less_accurate_has_a_result_that_says_so(
    network: Network, bundle: Path, patience: Patience, tmp_path: Path
) -> None:
    """A failed gate is no failed visit: how far off it is belongs to what the device tells."""

    def raise_floor(files: Members) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest["golden"][0]["floor_db"] = 500.0
        files["manifest.json"] = json.dumps(manifest).encode()

    strict = changed_bundle(bundle, tmp_path / "strict.tar.gz", raise_floor)
    place = network.computer("pi").place
    result = visit_all([place], strict, arguments=QUICK, python=sys.executable, patience=patience)
    assert not result.results[str(place)].passed
    assert result.exit_code == GateError.exit_code


def test_bundle_of_another_runner_is_refused_here(bundle: Path, patience: Patience) -> None:
    """A phone runs an app, not Python."""
    error = refused(Adb("0A1B2C"), bundle, patience)
    assert "whose runner is python, not android" in error.what


def test_missing_client_is_told(
    bundle: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the package that has it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openssh-client" in refused(Ssh("127.0.0.1"), bundle, patience).remedy


def replace_in_runner(files: Members, name: str, program: str) -> None:
    """Another module in runner.pyz."""
    with zipfile.ZipFile(io.BytesIO(files["runner.pyz"])) as archive:
        modules = {entry: archive.read(entry) for entry in archive.namelist()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for entry, data in {**modules, name: program.encode()}.items():
            archive.writestr(entry, data)
    files["runner.pyz"] = packed.getvalue()
