"""Where a device tells what it draws: its rails in sysfs, tegrastats, Intel's energy counters, macOS's powermetrics.

`open_power` gives the first one that answers, or None. Each has `source` (text for the result), `watts()`, which is the
power now or since the last call and None where nothing was told, and `close()`.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import machine
import power_text


class Rails:
    """INA3221 and other monitors of Linux's hwmon: power in microwatts, or millivolts times milliamperes.

    Names of files: Documentation/hwmon/ina3221.rst and sysfs-interface.rst of Linux.
    """

    def __init__(self, root, preferred):
        self._channels = _channels(root)
        self._preferred = preferred
        self.source = ""

    def watts(self):
        """Of the rail that the profile of the device names, else of the input rail, else of all."""
        read = {name: _channel_w(folder, number) for name, folder, number in self._channels}
        rails = {name: value for name, value in read.items() if value is not None}
        named = next((name for name in self._preferred if name in rails), None)
        found = (rails[named], named) if named else power_text.whole_w(rails)
        if found is None:
            return None
        self.source = "sysfs, {}".format(found[1])
        return found[0]

    def close(self):
        """Nothing is open."""


def _channels(root):
    """(name, folder, number) of every labelled channel with a power or a current."""
    found = []
    for label in sorted((root / "sys/class/hwmon").glob("hwmon*/*[0-9]_label")):
        if not label.name.startswith(("in", "power")):
            continue
        number = "".join(letter for letter in label.name.split("_")[0] if letter.isdigit())
        name = machine.text_of(label)
        if name and _channel_w(label.parent, number) is not None:
            found.append((name, label.parent, number))
    return found


def _channel_w(folder, number):
    microwatts = machine.number_of(folder / "power{}_input".format(number))
    if microwatts is not None:
        return microwatts / 1e6
    millivolts, milliamperes = (
        machine.number_of(folder / name.format(number)) for name in ("in{}_input", "curr{}_input")
    )
    return None if millivolts is None or milliamperes is None else millivolts * milliamperes / 1e6


class Rapl:
    """Energy counters of x86 packages (Linux's powercap, Documentation/power/powercap/powercap.rst): root only."""

    def __init__(self, root):
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        names = {zone: machine.text_of(zone / "name") or "" for zone in zones if zone.name.count(":") == 1}
        whole = [zone for zone, name in names.items() if name == "psys"]
        self._zones = whole or [zone for zone, name in names.items() if name.startswith("package")]
        self.source = "RAPL, {}".format(" + ".join(names[zone] for zone in self._zones))
        self._before = self._read()

    def _read(self):
        counts = [machine.number_of(zone / "energy_uj") for zone in self._zones]
        return None if not counts or None in counts else (time.monotonic(), counts)

    def watts(self):
        """Mean since the last call."""
        before, self._before = self._before, self._read()
        if before is None or self._before is None or self._before[0] <= before[0]:
            return None
        ranges = [machine.number_of(zone / "max_energy_range_uj") or 0 for zone in self._zones]
        joules = sum(map(power_text.joules_between, before[1], self._before[1], ranges))
        return joules / (self._before[0] - before[0])

    def close(self):
        """Nothing is open."""


class Printed:
    """A tool that prints a line or a sample again and again, read by a thread; the latest power is the power now."""

    def __init__(self, command, parse):
        self.source = ""
        self._parse, self._latest = parse, None
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, bufsize=1, universal_newlines=True, **pipes)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            found = self._parse(line)
            if found is not None:
                self._latest, self.source = found

    def watts(self):
        """As last printed."""
        return self._latest

    def close(self):
        """End the tool."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        self._process.stdout.close()


INTERVAL_MS = 200
FIRST_ANSWER_S = 2.0


def _tegrastats(line):
    found = power_text.whole_w(power_text.tegrastats_rails(line))
    return None if found is None else (found[0], "tegrastats, {}".format(found[1]))


def _powermetrics(line):
    """The mark before each sample is not there yet when its power is printed, so a line stands alone."""
    found = power_text.powermetrics_watts("*** Sampled system activity () (0ms elapsed)\n" + line)
    return (found[0][1], "powermetrics, the chip") if found else None


def open_power(rails=(), root=Path("/")):
    """What tells the power of this device; None where nothing does. rails: names that its profile gives."""
    for make in (lambda: Rails(root, rails), lambda: Rapl(root)):
        source = make()
        time.sleep(0.01)
        if source.watts() is not None:
            return source
    command = shutil.which("tegrastats")
    if command:
        return _answering(Printed([command, "--interval", str(INTERVAL_MS)], _tegrastats))
    if sys.platform == "darwin" and os.geteuid() == 0:
        return _answering(Printed(["powermetrics", "--samplers", "cpu_power", "-i", str(INTERVAL_MS)], _powermetrics))
    return None


def _answering(source):
    """The tool once it has printed a power; None, and the tool ended, if it prints none."""
    until = time.monotonic() + FIRST_ANSWER_S
    while source.watts() is None and time.monotonic() < until:
        time.sleep(0.05)
    if source.watts() is not None:
        return source
    source.close()
    return None
