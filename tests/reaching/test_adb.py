"""Visits through the real adb client, to a program that stands for Android."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moceir_edge.bundling.bundle import bundle
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Adb
from moceir_edge.reaching.visit import visit
from tests.reaching.android import Android
from tests.reaching.bundles import small_bundle, write_keys
from tests.reaching.computers import free_port, wait_until

Devices = Callable[..., Android]
QUICK = ("--seconds", "1")


@pytest.fixture(scope="session")
def phone_bundle(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a phone: no Python runner in it."""
    return small_bundle(artifact, tmp_path_factory.mktemp("bundle") / "phone.tar.gz", device="pixel_8")


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Devices]:
    """Makes devices that the client of this test is connected to; it has a server and keys of its own."""
    if shutil.which("adb") is None:
        pytest.skip("not here: adb is not installed")
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free_port()))
    monkeypatch.setenv("HOME", str(tmp_path))
    made: list[Android] = []

    def device(*, connect: bool = True, installed: bool = True, trusted: bool = True, answers: bool = True) -> Android:
        made.append(Android(tmp_path / f"android{len(made)}", trusted=trusted, answers=answers))
        if installed:
            made[-1].install()
        if connect:
            subprocess.run(["adb", "connect", made[-1].serial], check=False, capture_output=True, timeout=60)
        return made[-1]

    yield device
    for one in made:
        one.close()
    subprocess.run(["adb", "kill-server"], check=False, capture_output=True, timeout=60)


def refused(place: Adb, bundle: Path, patience: Patience) -> DeviceError:
    """What a visit that fails says."""
    with pytest.raises(DeviceError) as raised:
        visit(place, bundle, arguments=QUICK, patience=patience)
    return raised.value


def test_bundle_goes_to_the_app_and_its_result_comes_back(
    devices: Devices, phone_bundle: Path, patience: Patience
) -> None:
    """The only device that is connected; nothing stays in the app's folder."""
    device, said = devices(), list[str]()
    result = visit(Adb(), phone_bundle, arguments=QUICK, patience=patience, say=said.append)
    assert result.latency.runs_ms
    assert "adb: profiling" in said
    assert (device.sdcard / "extras").read_text().split() == ["--seconds", "1"]
    assert device.files() == []


def test_app_is_told_who_has_to_have_signed(
    devices: Devices, artifact: Path, patience: Patience, tmp_path: Path
) -> None:
    """It takes the 32 bytes of the public key in base64; the bundle was held against them here before it left."""
    device, private, public = devices(), tmp_path / "key.pem", tmp_path / "public.pem"
    write_keys(private, public)
    signed = tmp_path / "signed.tar.gz"
    bundle(artifact, "pixel_8", signed, sign=private)
    visit(Adb(), signed, arguments=QUICK, public_key=public, patience=patience)
    option, key = (device.sdcard / "extras").read_text().split()[-2:]
    assert (option, len(base64.b64decode(key))) == ("--key", 32)


def test_device_that_is_not_ready_is_let_go_of(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """It was connected for the visit, over the network, and is no more when that has failed."""
    device = devices(connect=False, trusted=False)
    assert "does not trust" in refused(Adb(device.serial), phone_bundle, patience).what
    assert device.serial not in subprocess.run(["adb", "devices"], check=True, capture_output=True, text=True).stdout


def test_network_device_is_connected_by_its_address(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """And let go of after the visit."""
    device = devices(connect=False)
    assert visit(Adb(device.serial), phone_bundle, arguments=QUICK, patience=patience).latency.runs_ms
    assert device.serial not in subprocess.run(["adb", "devices"], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_device_that_is_unplugged_is_tried_again(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """In the middle of the profile."""
    device, said = devices(connect=False), list[str]()

    def unplug() -> None:
        wait_until(device.app_runs, 400, "the app")
        device.unplug()

    acting = threading.Thread(target=unplug)
    acting.start()
    place = Adb(device.serial)
    result = visit(place, phone_bundle, arguments=("--seconds", "8"), patience=patience, say=said.append)
    acting.join()
    assert result.latency.runs_ms
    assert any("dropped out" in line for line in said)
    assert device.files() == []


def test_no_device_is_told(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """With what to do on the phone."""
    assert "no Android device is connected" in refused(Adb(), phone_bundle, patience).what
    error = refused(Adb("0A1B2C"), phone_bundle, patience)
    assert "adb:0A1B2C: not connected (connected: none)" in error.what
    assert "USB debugging" in error.remedy


def test_several_devices_have_to_be_told_apart(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """The message names them as they are given."""
    one, other = devices(), devices()
    error = refused(Adb(), phone_bundle, patience)
    assert "more than one device" in error.what
    assert f"adb:{one.serial}" in error.remedy
    assert f"adb:{other.serial}" in error.remedy


def test_device_that_does_not_trust_this_computer_is_told(
    devices: Devices, phone_bundle: Path, patience: Patience
) -> None:
    """It waits for somebody to press its button."""
    devices(trusted=False)
    error = refused(Adb(), phone_bundle, patience)
    assert "does not trust this computer" in error.what
    assert "USB debugging" in error.remedy


@pytest.mark.slow
def test_device_that_is_offline_is_told(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """Connected, and silent."""
    devices(answers=False)
    assert "offline" in refused(Adb(), phone_bundle, patience).what


def test_device_without_the_app_is_told(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """With how to install it."""
    error = refused(Adb(devices(installed=False).serial), phone_bundle, patience)
    assert "io.moceir.edge is not installed" in error.what
    assert "adb install" in error.remedy


def test_refusal_of_the_app_is_passed_on(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """From its error.txt; and what was pushed goes."""
    device = devices()
    with pytest.raises(DeviceError, match="no size as in"):
        visit(Adb(), phone_bundle, arguments=("--size", "large"), patience=patience)
    assert device.files() == []


def test_app_that_ends_without_a_word_is_told(devices: Devices, phone_bundle: Path, patience: Patience) -> None:
    """As when the system needs the memory."""
    device = devices()

    def end() -> None:
        wait_until(lambda: (device.sdcard / "where").exists() and device.app_runs(), 400, "the app")
        subprocess.run([device.sdcard.parent / "bin" / "am", "force-stop"], check=True)

    acting = threading.Thread(target=end)
    acting.start()
    with pytest.raises(DeviceError, match="ended without a result"):
        visit(Adb(), phone_bundle, arguments=("--seconds", "60"), patience=patience)
    acting.join()


def test_arguments_that_the_app_does_not_have_are_refused(
    devices: Devices, phone_bundle: Path, patience: Patience
) -> None:
    """Before anything goes there."""
    with pytest.raises(DeviceError, match="--paced"):
        visit(Adb(), phone_bundle, arguments=("--paced",), patience=patience)
