"""Where a device is, in the words of the command line: over SSH, or over adb."""

from __future__ import annotations

import re
from dataclasses import dataclass

from moceir_edge.errors import DeviceError

HERE = "here"
"""The machine that we run on, which needs no visit."""

FORMS = "give here, ssh://user@host[:port], adb, or adb:SERIAL"

_SSH = re.compile(
    r"ssh://"
    r"(?:(?P<user>[A-Za-z0-9_.][A-Za-z0-9_.-]*)@)?"
    r"(?:(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)|\[(?P<number>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
"""A host is a name or a number of IPv6: nothing that ssh takes for an option, or a ProxyCommand's shell for more."""

_SERIAL = re.compile(r"[A-Za-z0-9_.\[][A-Za-z0-9_.:\[\]-]*")


@dataclass(frozen=True)
class Ssh:
    """A computer that the OpenSSH client reaches; what is None is left to the client's configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user is not None else ""
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port is not None else "")


@dataclass(frozen=True)
class Adb:
    """An Android device; without a serial number, the only one that is connected."""

    serial: str | None = None

    def __str__(self) -> str:
        return "adb" if self.serial is None else f"adb:{self.serial}"


Place = Ssh | Adb
"""Its text is its name: `str(place)` is read back by `place_of`."""


def place_of(text: str) -> Place:
    """`ssh://user@host[:port]`, `adb` or `adb:SERIAL`; DeviceError for anything else."""
    if text == "adb":
        return Adb()
    if text.startswith("adb:"):
        serial = text.removeprefix("adb:")
        if _SERIAL.fullmatch(serial) is None:
            raise DeviceError(f"{text!r}: {serial!r} is no serial number", FORMS)
        return Adb(serial)
    if text.startswith("ssh://"):
        return _ssh(text)
    raise DeviceError(f"{text!r} is no device that can be reached", FORMS)


def is_place(text: str) -> bool:
    """Whether the text means this machine or a place, right or wrong, and not the name of a profile."""
    return text in {HERE, "adb"} or text.startswith(("adb:", "ssh:"))


def _ssh(text: str) -> Ssh:
    user, at, _ = text.removeprefix("ssh://").rpartition("@")
    if at and ":" in user:
        raise DeviceError(f"{text.replace(user, '...')!r} has a password in it", "devices are reached with keys only")
    found = _SSH.fullmatch(text)
    port = int(found["port"]) if found is not None and found["port"] is not None else None
    if found is None or port == 0 or (port or 0) > 65535:
        raise DeviceError(f"{text!r} is no user, host and port for ssh", FORMS)
    return Ssh(found["name"] or found["number"], found["user"], port)
