"""The device as its system describes it: what it is, how fast it clocks, how hot it is, and who else is at work.

Everything is read below `root`, which is / on a device.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path("/")

BUSY_SHARE = 0.10
"""Share of all cores that others may use before times mean nothing."""


def text_of(path):
    """A file of the system as text, without its last NUL or newline; None where it is not, or is not for us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def number_of(path):
    """A file that holds one number; None where it is not, or holds something else."""
    text = text_of(path)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def describe(profile, root=ROOT):
    """What `device` of a result says."""
    return {
        "profile": profile,
        "model": _model(root),
        "system": _system(root),
        "processor": _processor(root),
        "cores": os.cpu_count() or 1,
        "memory_mib": _memory_mib(root),
        "serial_sha256": _serial(root),
        "emulated": "QEMU_CPU" in os.environ,
        "clocks": _governors(root),
    }


def _model(root):
    """Boards with a device tree have their name in it, PCs in their firmware's tables."""
    for name in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        text = text_of(root / name)
        if text:
            return text
    return platform.machine()


def _system(root):
    release = re.search(r'^PRETTY_NAME="?(.*?)"?$', text_of(root / "etc/os-release") or "", re.MULTILINE)
    name = release.group(1) if release else platform.system()
    l4t = re.match(r"# (R\d+) \(release\), REVISION: ([\d.]+)", text_of(root / "etc/nv_tegra_release") or "")
    return "{}{}, {} {}".format(
        name, ", L4T {}.{}".format(l4t.group(1), l4t.group(2)) if l4t else "", platform.system(), platform.release()
    )


def _processor(root):
    text = text_of(root / "proc/cpuinfo") or ""
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", text, re.MULTILINE)
    compatible = text_of(root / "proc/device-tree/compatible")
    chip = compatible.split("\0")[-1] if compatible else ""
    return found.group(1) if found else chip or platform.processor() or platform.machine()


def _memory_mib(root):
    found = re.search(r"^MemTotal:\s*(\d+) kB", text_of(root / "proc/meminfo") or "", re.MULTILINE)
    return int(found.group(1)) / 1024 if found else None


def _serial(root):
    """Hashed with a word of ours, so that it tells two devices apart and nothing else."""
    for name in ("proc/device-tree/serial-number", "etc/machine-id"):
        text = text_of(root / name)
        if text:
            return hashlib.sha256("moceir-edge {}".format(text).encode()).hexdigest()
    return None


def _cpufreq(root):
    return sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))


def _governors(root):
    found = {text_of(folder / "scaling_governor") for folder in _cpufreq(root)} - {None}
    return "cpufreq governor {}".format(", ".join(sorted(found))) if found else None


def clock_mhz(root=ROOT):
    """Of the fastest core now, which is the one that works; None where the system does not say."""
    found = [number_of(folder / "scaling_cur_freq") for folder in _cpufreq(root)]
    kilohertz = [value for value in found if value is not None]
    return max(kilohertz) / 1e3 if kilohertz else None


def gpu_clock_mhz(root=ROOT):
    """Of a Jetson's GPU, whose devfreq folder is called after its driver's device: gpu, gv11b, ga10b or gpc."""
    for folder in sorted((root / "sys/class/devfreq").glob("*")):
        if re.search(r"gpu|gv11b|ga10b|gp10b|gpc", folder.name):
            hertz = number_of(folder / "cur_freq")
            if hertz is not None:
                return hertz / 1e6
    return None


def temperature_c(root=ROOT):
    """The hottest thermal zone or hwmon sensor; zones that are switched off tell -256 degrees or an error."""
    places = [
        *(root / "sys/class/thermal").glob("thermal_zone*/temp"),
        *(root / "sys/class/hwmon").glob("*/temp*_input"),
    ]
    found = [number_of(place) for place in places]
    celsius = [value / 1e3 for value in found if value is not None and 0 < value < 150e3]
    return max(celsius) if celsius else None


def hot_c(root=ROOT):
    """From where on the system slows down: its lowest passive trip point; None where it names none."""
    found = []
    for kind in (root / "sys/class/thermal").glob("thermal_zone*/trip_point_*_type"):
        if text_of(kind) == "passive":
            value = number_of(kind.with_name(kind.name.replace("_type", "_temp")))
            if value is not None and value > 0:
                found.append(value / 1e3)
    return min(found) if found else None


def throttle_count(root=ROOT):
    """How often the kernel has seen an x86 core or package throttle since it started; None where it does not count.

    Intel's `thermal_throttle` folders: arch/x86/kernel/cpu/mce/therm_throt.c of Linux.
    """
    names = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    found = [value for value in map(number_of, sorted(names)) if value is not None]
    return int(sum(found)) if found else None


def raspberry_pi_bits():
    """What `vcgencmd get_throttled` says (`throttled=0x50000`); None where there is no such command."""
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    ended = subprocess.run([command, "get_throttled"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return throttled_bits(ended.stdout.decode(errors="replace"))


def throttled_bits(text):
    """The number in what `vcgencmd get_throttled` printed; None if it printed something else."""
    found = re.match(r"throttled=(0x[0-9a-fA-F]+)\s*$", text)
    return int(found.group(1), 16) if found else None


def on_battery(root=ROOT):
    """Whether a battery is being emptied; None without one."""
    kinds = [kind.parent for kind in (root / "sys/class/power_supply").glob("*/type") if text_of(kind) == "Battery"]
    own = [folder for folder in kinds if text_of(folder / "scope") != "Device"]  # not that of a mouse
    states = [text_of(folder / "status") for folder in own]
    return any(state == "Discharging" for state in states) if states else None


def power_saver(root=ROOT):
    """Why the system holds speed back, by its own profile (ACPI's platform profile); None where it does not say so."""
    chosen = text_of(root / "sys/firmware/acpi/platform_profile")
    return "the platform profile is {}".format(chosen) if chosen in ("low-power", "quiet", "cool") else None


class Load:
    """Processor time of others between calls of `others_share`."""

    def __init__(self, root=ROOT):
        self._root = root
        self._before = self._moment()

    def _moment(self):
        """Seconds so far: of everyone (user, nice, system, interrupts, stolen), of this process, of the wall."""
        own = os.times()
        found = re.match(r"cpu\s+(.+)", text_of(self._root / "proc/stat") or "")
        if not found:
            return None
        fields = [int(field) for field in found.group(1).split()]
        everyone = sum(fields[index] for index in (0, 1, 2, 5, 6, 7)) / os.sysconf("SC_CLK_TCK")
        return everyone, own.user + own.system, own.elapsed

    def others_share(self):
        """Of all cores, since the last call; None where the system does not tell, or no time has passed."""
        before, self._before = self._before, self._moment()
        if before is None or self._before is None or self._before[2] <= before[2]:
            return None
        everyone, own, wall = (after - earlier for after, earlier in zip(self._before, before))
        return min(1.0, max(0.0, (everyone - own) / (wall * (os.cpu_count() or 1))))


def memory_mib(name, root=ROOT):
    """`VmHWM` (peak) or `VmRSS` (now) of this process; None where the system does not tell."""
    found = re.search(r"^{}:\s*(\d+) kB".format(name), text_of(root / "proc/self/status") or "", re.MULTILINE)
    return int(found.group(1)) / 1024 if found else None
