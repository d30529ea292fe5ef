"""The adb client: how it is called, which device is meant, and what its complaints mean."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Sequence

from moceir_edge.errors import DeviceError
from moceir_edge.reaching.calling import Said, TooLongError, call
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Adb
from moceir_edge.reaching.shell import MayPassError

_GONE = re.compile(
    r"^(?:error|adb): .*"
    r"(?:not found|offline|closed|no devices|failed to get feature set|connect failed|connection reset|protocol fault)",
    re.MULTILINE,
)
"""How the client says that a device went away, in releases from 29 on."""

_NETWORK_SERIAL = re.compile(r".+:\d+")

_STATES = {
    "unauthorized": ("it does not trust this computer yet", "unlock it, and allow USB debugging in its dialog"),
    "authorizing": ("it does not trust this computer yet", "unlock it, and allow USB debugging in its dialog"),
    "offline": ("it is offline", "unplug it and plug it in again, or `adb reconnect offline`"),
    "no permissions": (
        "this user may not open it",
        "add the udev rules for Android (Debian: android-sdk-platform-tools-common)",
    ),
    "bootloader": ("it is in its boot loader", "start Android"),
    "recovery": ("it is in its recovery system", "start Android"),
    "sideload": ("it is in its recovery system", "start Android"),
}


class AdbDevice:
    """One device behind the client; it is chosen at the first call of `choose`."""

    def __init__(self, place: Adb, *, patience: Patience, stop: threading.Event) -> None:
        self.name = str(place)
        self.serial = place.serial
        self._patience = patience
        self._stop = stop
        self.was_there = False
        self._connected = False

    def choose(self) -> None:
        """Find the device; DeviceError where there is none, more than one, or one that is not ready."""
        states = self._states()
        if self.serial is None:
            self.serial = self._only_one(states)
        if self.serial not in states and _NETWORK_SERIAL.fullmatch(self.serial):
            self._client("connect", self.serial)
            self._connected = True
            states = self._states()
        state = states.get(self.serial)
        if state == "device":
            self.was_there = True
            return
        if self.was_there:
            raise MayPassError(f"{self.name}: dropped out: {state or 'not connected'}", "see to its cable")
        if state is None:
            known = ", ".join(f"adb:{serial}" for serial in states) or "none"
            raise DeviceError(f"{self.name}: not connected (connected: {known})", "plug it in, and allow USB debugging")
        raise self._not_ready(state)

    def shell(self, *words: str, whatever: bool = False) -> Said:
        """Run a command of Android's shell; MayPassError where the device went away."""
        return self.call("shell", shlex.join(words), whatever=whatever)

    def script(self, script: str, *words: str, whatever: bool = False) -> Said:
        """Run lines of Android's shell, which get the words as $1, $2 and so on."""
        return self.shell("sh", "-c", script, "visit", *words, whatever=whatever)

    def call(self, *words: str, limit_s: float | None = None, whatever: bool = False) -> Said:
        """Call the client for this device; its own complaints are raised, those of the command are returned."""
        said = self._client("-s", self.serial or "", *words, limit_s=limit_s, whatever=whatever)
        if said.code and _GONE.search(said.err):
            raise MayPassError(f"{self.name}: dropped out: {said.last_line}", "see to its cable")
        return said

    def disconnect(self) -> None:
        """Let go of a device that was reached over the network for this visit."""
        if self._connected and self.serial is not None:
            self._client("disconnect", self.serial, whatever=True)

    def _client(self, *words: str, limit_s: float | None = None, whatever: bool = False) -> Said:
        limit_s = self._patience.step_s if limit_s is None else limit_s
        try:
            return call(["adb", *words], limit_s=limit_s, stop=None if whatever else self._stop)
        except TooLongError as error:
            what = f"{self.name}: adb {_verb(words)}: {error} (limit {limit_s:g} s)"
            raise DeviceError(what, "look at what the device does") from error

    def _states(self) -> dict[str, str]:
        said = self._client("devices")
        if said.code:
            raise DeviceError(f"{self.name}: adb does not start: {said.last_line}", "try `adb devices` by hand")
        return states_in(said.out.decode("utf-8", "replace"))

    def _only_one(self, states: dict[str, str]) -> str:
        if not states:
            what = f"{self.name}: no Android device is connected"
            raise DeviceError(what, "plug it in, and allow USB debugging in its developer options")
        if len(states) > 1:
            known = ", ".join(f"adb:{serial}" for serial in states)
            raise DeviceError(f"{self.name}: more than one device is connected", f"name one of {known}")
        return next(iter(states))

    def _not_ready(self, state: str) -> DeviceError:
        for beginning, (what, remedy) in _STATES.items():
            if state.startswith(beginning):
                return DeviceError(f"{self.name}: {what} ({state})", remedy)
        return DeviceError(f"{self.name}: it is not ready ({state})", "start Android, and see what `adb devices` says")


def states_in(listing: str) -> dict[str, str]:
    """Of `adb devices`, by serial number."""
    rows = [line.split("\t") for line in listing.splitlines() if "\t" in line]
    return {row[0].strip(): row[1].strip() for row in rows}


def _verb(words: Sequence[str]) -> str:
    return words[2] if words[0] == "-s" else words[0]
