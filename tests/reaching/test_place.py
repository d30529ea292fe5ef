"""Places as people write them, and as somebody hostile would."""

from __future__ import annotations

import pytest

from moceir_edge.errors import DeviceError
from moceir_edge.reaching.place import Adb, Place, Ssh, is_place, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("adb", Adb()),
        ("adb:0A1B2C", Adb("0A1B2C")),
        ("adb:192.168.0.7:5555", Adb("192.168.0.7:5555")),
        ("ssh://pi@raspberrypi.local", Ssh("raspberrypi.local", "pi")),
        ("ssh://Orin", Ssh("Orin")),
        ("ssh://nvidia@10.0.0.2:2222", Ssh("10.0.0.2", "nvidia", 2222)),
        ("ssh://pi@[fe80::1%eth0]:22", Ssh("fe80::1%eth0", "pi", 22)),
    ],
)
def test_places_are_read_and_written_alike(text: str, place: Place) -> None:
    """What the command line takes is what messages and results show."""
    assert place_of(text) == place
    assert str(place) == text
    assert is_place(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "http://pi@host",
        "ssh://",
        "ssh://pi@",
        "ssh://@host",
        "ssh://-oProxyCommand=touch${IFS}x",
        "ssh://-oProxyCommand=x@host",
        "ssh://-l@host",
        "ssh://pi@-v",
        "ssh://pi@host;reboot",
        "ssh://pi@`id`",
        "ssh://pi@$(id)",
        "ssh://pi@host name",
        "ssh://pi@host\nname",
        "ssh://pi@host'",
        "ssh://pi@host%n",
        "ssh://a;b@host",
        "ssh://pi@host:0",
        "ssh://pi@host:99999",
        "ssh://pi@host:port",
        "ssh://pi@host/etc",
        "ssh://pi@host?x",
        "ssh://pi@[nonsense]",
        "adb:",
        "adb:-s",
        "adb:x;reboot",
        "adb:a b",
    ],
)
def test_hostile_and_wrong_places_are_refused(text: str) -> None:
    """Nothing that ssh, adb or a shell could take for something else gets any further."""
    with pytest.raises(DeviceError, match=r"give here, ssh://user@host\[:port\], adb"):
        place_of(text)


def test_this_machine_needs_no_visit() -> None:
    """It is no name of a device profile either."""
    assert is_place("here")
    with pytest.raises(DeviceError, match="no device that can be reached"):
        place_of("here")


def test_password_in_a_place_is_not_repeated() -> None:
    """It is refused, and does not get into logs by that."""
    with pytest.raises(DeviceError) as raised:
        place_of("ssh://pi:secret@host")
    assert "keys only" in str(raised.value)
    assert "secret" not in str(raised.value)
