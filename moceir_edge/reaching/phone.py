"""A visit to an Android device: the bundle goes to the app's folder, the app runs it, its result comes back.

Not verified on a device: what was run is Debian's client, and the protocol up to a program that stands for Android.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from moceir_edge.device_result import RESULT_NAME, ProfileResult
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.adb import AdbDevice
from moceir_edge.reaching.calling import Said
from moceir_edge.reaching.cargo import BUNDLE_FILE, Cargo
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Adb
from moceir_edge.reaching.result import result_of
from moceir_edge.reaching.shell import MayPassError
from moceir_edge.records import scratch_folder

PACKAGE = "io.moceir.edge"
ACTIVITY = f"{PACKAGE}/.ProfileActivity"
FILES = f"/sdcard/Android/data/{PACKAGE}/files"
"""The app's own folder, which adb's user may write to as well; it goes with the app."""

FOLDER = f"{FILES}/visit"
ERROR_NAME = "error.txt"

EXTRAS = ("runs", "seconds", "size", "threads", "provider")
"""What the activity takes beside the two files."""

GONE_LOOKS = 3
"""Looks in a row that find no app and no result, until it counts as ended without one."""

_BEGIN = 'am force-stop "$1"; rm -rf "$2" && mkdir -p "$2"'
_END = 'am force-stop "$1"; rm -rf "$2"'
_LOOK = f"""
for name in {RESULT_NAME} {ERROR_NAME}; do [ -f "$1/$name" ] && echo "$name"; done
pidof {PACKAGE} >/dev/null && echo running
true
"""


@dataclass
class PhoneVisit:
    """All attempts of one visit; say: called with a line about what is being done."""

    place: Adb
    cargo: Cargo
    arguments: Sequence[str]
    patience: Patience
    stop: threading.Event
    say: Callable[[str], None]

    @cached_property
    def device(self) -> AdbDevice:
        """The one that the place means."""
        return AdbDevice(self.place, patience=self.patience, stop=self.stop)

    def attempt(self) -> ProfileResult:
        """From a stopped app and an empty folder to the result; MayPassError where it is worth another attempt."""
        extras = self._extras()
        self.device.choose()
        self._require_app()
        self._fine(self.device.script(_BEGIN, PACKAGE, FOLDER), "its folder")
        self._require_space()
        self._push()
        self.say("profiling")
        started = self.device.shell("am", "start", "-W", "-n", ACTIVITY, *extras)
        if started.code or b"Error" in started.out:
            raise DeviceError(f"{self.place}: the app does not start: {_last(started)}", "install it again")
        self._wait()
        return self._fetched()

    def leave(self) -> None:
        """End the app, remove its folder of this visit, and let go of the device; what fails is said."""
        try:
            self._remove()
        except DeviceError as error:
            self.say(f"{error.what}; {FOLDER} is left there, and goes with the next visit or with the app")
        finally:
            self._disconnect()

    def _remove(self) -> None:
        if not self.device.was_there:
            return
        said = self.device.script(_END, PACKAGE, FOLDER, whatever=True)
        if said.code:
            self.say(f"not everything could be removed: {_last(said)}")

    def _disconnect(self) -> None:
        try:
            self.device.disconnect()
        except DeviceError as error:
            self.say(f"{error.what}; it may still be connected")

    def _extras(self) -> list[str]:
        files = {"bundle": f"{FOLDER}/{BUNDLE_FILE}", "out": f"{FOLDER}/{RESULT_NAME}"}
        key = {} if self.cargo.signed_by is None else {"key": self.cargo.signed_by}
        extras = {**files, **key, **extras_of(self.arguments, str(self.place))}
        return [word for name, value in extras.items() for word in ("--es", name, value)]

    def _require_app(self) -> None:
        if self.device.shell("pm", "path", PACKAGE).code:
            what = f"{self.place}: the app {PACKAGE} is not installed"
            raise DeviceError(what, "build devices/android and `adb install` it, as its README.md says")

    def _require_space(self) -> None:
        said = self._fine(self.device.shell("df", "-k", FOLDER), "its free space")
        words = said.out.decode("utf-8", "replace").strip().splitlines()[-1].split()
        if len(words) < 4 or not words[3].isdecimal():
            raise DeviceError(f"{self.place}: its free space cannot be read: {_last(said)}", "look at the device")
        free = int(words[3]) * 1024
        if free < self.cargo.needed_bytes:
            needed = self.cargo.needed_bytes / 2**20
            what = f"{self.place}: no space: {free / 2**20:.1f} MiB are free, and {needed:.1f} MiB are needed"
            raise DeviceError(what, "free some space there")

    def _push(self) -> None:
        """Send the bundle and compare its hash there."""
        self.say(f"uploading {self.cargo.size_bytes / 2**20:.1f} MiB")
        target, limit_s = f"{FOLDER}/{BUNDLE_FILE}", self.patience.upload_s(self.cargo.size_bytes)
        self._fine(self.device.call("push", str(self.cargo.bundle), target, limit_s=limit_s), "the upload")
        said = self._fine(self.device.shell("sha256sum", target), "the upload's hash")
        if said.out.split()[:1] != [self.cargo.file_sha256.encode()]:
            raise MayPassError(f"{self.place}: the bundle arrived altered", "check the cable and the device's storage")

    def _wait(self) -> None:
        """Until the app has written its result; DeviceError with what it says, when it ends or takes too long."""
        deadline, missed = time.monotonic() + self.patience.profile_s, 0
        while missed < GONE_LOOKS:
            said = self._fine(self.device.script(_LOOK, FOLDER), "its result")
            words = said.out.decode().split()
            if ERROR_NAME in words:
                raise self._refusal()
            if RESULT_NAME in words:
                return
            missed = 0 if "running" in words else missed + 1
            if time.monotonic() > deadline:
                what = f"{self.place}: no result after {self.patience.profile_s:g} s"
                raise DeviceError(what, "look at the device's screen")
            if self.stop.wait(self.patience.beat_s):
                raise KeyboardInterrupt
        what = f"{self.place}: the app ended without a result"
        raise DeviceError(what, f"it may have had too little memory: adb logcat --buffer crash, and {PACKAGE} in it")

    def _refusal(self) -> DeviceError:
        said = self.device.shell("cat", f"{FOLDER}/{ERROR_NAME}")
        lines = said.out.decode("utf-8", "replace").strip().splitlines() or ["it does not say why"]
        what, _, remedy = lines[0].removeprefix("error: ").rpartition("; ")
        return DeviceError(f"{self.place}: {what or lines[0]}", remedy or "see the app's screen")

    def _fetched(self) -> ProfileResult:
        with scratch_folder() as folder:
            path: Path = folder / RESULT_NAME
            self._fine(self.device.call("pull", f"{FOLDER}/{RESULT_NAME}", str(path)), "its result")
            return result_of(path.read_bytes(), self.cargo, str(self.place))

    def _fine(self, said: Said, what: str) -> Said:
        if said.code:
            space = "no space: " if "No space left" in said.err or b"No space left" in said.out else ""
            raise DeviceError(f"{self.place}: {what}: {space}{_last(said)}", "look at the device's storage")
        return said


def extras_of(arguments: Sequence[str], place: str) -> dict[str, str]:
    """Options of the runner's `profile` as the activity takes them; DeviceError for those that it does not have."""
    names = [word.removeprefix("--") for word in arguments[::2]]
    if len(arguments) % 2 or any(name not in EXTRAS for name in names):
        what = f"{place}: the app does not take {' '.join(arguments)}"
        raise DeviceError(what, f"give --NAME VALUE with one of {', '.join(EXTRAS)}")
    return dict(zip(names, arguments[1::2], strict=True))


def _last(said: Said) -> str:
    """The client writes some complaints to its output."""
    lines = said.out.decode("utf-8", "replace").strip().splitlines()
    return said.last_line if said.err.strip() or not lines else lines[-1].strip()[:400]
