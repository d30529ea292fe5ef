"""A visit to a computer with Python: upload, unpack, check, profile, fetch, and away with all of it."""

from __future__ import annotations

import math
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.device_result import RESULT_NAME, ProfileResult
from moceir_edge.errors import DeviceError, GateError, MoceirEdgeError
from moceir_edge.reaching.calling import Beats, Said
from moceir_edge.reaching.cargo import BUNDLE_FILE, KEY_FILE, RUNNER_FILE, Cargo
from moceir_edge.reaching.result import result_of
from moceir_edge.reaching.shell import Shell
from moceir_edge.reaching.upload import Part, upload
from moceir_edge.records import sha256_of_file

OLDEST_PYTHON = (3, 8)
NO_FOLDER = 98
"""What visit.sh leaves with when it cannot make its folder."""

ANY_DEVICE = "--any-device"
"""An argument of the profile that the check before it needs, too."""

UNPACKED = "unpacked"


@dataclass(frozen=True)
class Found:
    """What `enter` tells: free bytes, Python's version and path (None without one), and what is there already."""

    free_bytes: int
    version: tuple[int, int] | None
    python: str
    parts: dict[str, Part]


def found_in(text: str) -> Found:
    """Its lines as values; a line of anything else is passed over."""
    free, version, python, parts = 0, None, "", {}
    for line in text.splitlines():
        match line.split(" ", 3):
            case ["free", kib] if kib.isdecimal():
                free = int(kib) * 1024
            case ["python", major, minor, path] if major.isdecimal() and minor.isdecimal():
                version, python = (int(major), int(minor)), path
            case ["part", name, size, sha256] if size.isdecimal():
                parts[name] = Part(int(size), sha256)
    return Found(free, version, python, parts)


@dataclass
class ComputerVisit:
    """All attempts of one visit; say: called with a line about what is being done."""

    shell: Shell
    cargo: Cargo
    runner: Path
    arguments: Sequence[str]
    python: str
    say: Callable[[str], None]
    before: str = ""

    def attempt(self) -> ProfileResult:
        """From the first step to the result; MayPassError where it is worth another attempt."""
        found = self._enter()
        self._require_space(found)
        self.python = found.python
        self._bring(self.runner, RUNNER_FILE, found)
        self._bring(self.cargo.bundle, BUNDLE_FILE, found)
        if self.cargo.public_key is not None:
            self._bring(self.cargo.public_key, KEY_FILE, found)
        self._check()
        self.say("profiling")
        patience, out = self.shell.patience, f"../../{RESULT_NAME}"
        words = ["profile", "--out", out, *self._signed(f"../../{KEY_FILE}"), *self.arguments]
        self._run(self._unpacked, *words, limit_s=patience.profile_s)
        return result_of(self._step("fetch", RESULT_NAME).out, self.cargo, self.shell.name)

    def leave(self) -> None:
        """Remove everything; what cannot be removed now is said, and the device does it itself."""
        if not self.shell.may_hold:
            return
        try:
            said = self.shell.step("leave", self.before, whatever=True)
        except DeviceError as error:
            keep_s = self.shell.patience.keep_s
            self.say(f"{error.what}; what is left there goes after {keep_s} s by itself, or with the next visit")
            return
        if said.code:
            self.say(f"not everything could be removed: {said.last_line}")

    @property
    def _unpacked(self) -> str:
        return f"{UNPACKED}/{self.cargo.manifest.name}"

    def _enter(self) -> Found:
        """Have the folder, with a token that no earlier attempt has."""
        patience, self.before = self.shell.patience, self.shell.renew()
        beats = [math.ceil(seconds / patience.beat_s) for seconds in (patience.keep_s, patience.silence_s)]
        words = (self.before, self.cargo.file_sha256, self.python, str(patience.beat_s), *map(str, beats))
        said = self.shell.step("enter", *words)
        if said.code == NO_FOLDER:
            self._require_space(found_in(said.out.decode("utf-8", "replace")))
            what = f"{self.shell.name}: no folder can be made in its home: {said.last_line}"
            raise DeviceError(what, "give a user who has a home and may write to it")
        if b"busy" in said.out.splitlines():
            what = f"{self.shell.name}: in use: another visit is there"
            raise DeviceError(what, "wait until it is done: two at once would disturb each other's times")
        found = found_in(said.out.decode("utf-8", "replace"))
        if said.code == 0 or found.version is not None:  # first, for one that is too old fails at the next line
            self._require_python(found.version)
        self._fine(said, "enter")
        return found

    def _require_python(self, found: tuple[int, int] | None) -> None:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        if found is None:
            what = f"{self.shell.name}: no Python is there under the name {self.python}"
            raise DeviceError(what, f"install Python {wanted} or later there, or name the one to use")
        if found < OLDEST_PYTHON:
            what = f"{self.shell.name}: {self.python} is Python {'.'.join(map(str, found))} there"
            raise DeviceError(what, f"the runner needs {wanted} or later: name another one")

    def _require_space(self, found: Found) -> None:
        needed = self.cargo.needed_bytes - sum(part.size for part in found.parts.values())
        if found.free_bytes < needed:
            free, asked = found.free_bytes / 2**20, needed / 2**20
            what = f"{self.shell.name}: no space: {free:.1f} MiB are free in its home, and {asked:.1f} MiB are needed"
            raise DeviceError(what, "free some space there")

    def _bring(self, path: Path, name: str, found: Found) -> None:
        """Upload a file, unless it is there from an attempt before."""
        whole = found.parts.get(name)
        if whole is None or whole.sha256 != sha256_of_file(path):
            part = found.parts.get(f"{name}.part")
            upload(self.shell, path, name, there=part, python=self.python, say=self.say)

    def _check(self) -> None:
        self.say("unpacking and checking")
        limit_s = self.shell.patience.check_s
        self._run(".", "unpack", *self._signed(KEY_FILE), BUNDLE_FILE, UNPACKED, limit_s=limit_s)
        wide = [ANY_DEVICE] if ANY_DEVICE in self.arguments else []
        said = self._run(self._unpacked, "check", *self._signed(f"../../{KEY_FILE}"), *wide, limit_s=limit_s)
        if said.code:
            self.say(said.last_line.removeprefix("error: "))

    def _signed(self, key: str) -> list[str]:
        """What the runner is told of the signature; key: the file, as seen from where it runs."""
        return [] if self.cargo.public_key is None else ["--require-signature", key]

    def _run(self, folder: str, *words: str, limit_s: float) -> Said:
        """Run the runner that lies in a folder; its refusals are raised, but for that of a gate: the result has it."""
        beats = Beats(self.shell.patience.beat_s)
        command = (folder, self.python, RUNNER_FILE, *words)
        said = self.shell.step("work", *command, limit_s=limit_s, source=subprocess.PIPE, meanwhile=beats)
        if said.code not in {0, GateError.exit_code}:
            raise failure(said, f"{self.shell.name}: {words[0]}")
        return said

    def _step(self, step: str, *words: str) -> Said:
        return self._fine(self.shell.step(step, *words), step)

    def _fine(self, said: Said, step: str) -> Said:
        if said.code:
            raise DeviceError(f"{self.shell.name}: {step}: {said.last_line}", "look at the device's disk")
        return said


def failure(said: Said, where: str) -> MoceirEdgeError:
    """What the runner's exit code and last line mean: 2 wrong input, a signal, or its own fault."""
    what, _, remedy = said.last_line.removeprefix("error: ").rpartition("; ")
    text = f"{where}: {what or said.last_line}"
    if said.code == DeviceError.exit_code:
        return DeviceError(text, remedy or "see the bundle's README.md")
    if said.code > 128:
        name = signal.Signals(said.code - 128).name if said.code - 128 in set(signal.Signals) else str(said.code - 128)
        return DeviceError(
            f"{where}: it was killed there ({name})", "see to the device's memory, and who stops programs"
        )
    return MoceirEdgeError(f"{where}: the runner failed: {said.last_line}", "please report it")
