"""What a device tells of itself, read from folders like those of its system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.devices.scripts import runner_script

machine, sampler = runner_script("machine"), runner_script("sampler")


def files(root: Path, **contents: str) -> Path:
    """Files below a root, `__` standing for `/`."""
    for name, text in contents.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_jetson(tmp_path: Path) -> None:
    """Board and serial number from the device tree, release from L4T, clocks and heat from sysfs."""
    root = files(
        tmp_path,
        **{
            "proc__device-tree__model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "proc__device-tree__serial-number": "1421523012345\0",
            "etc__nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
            "etc__os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
            "proc__meminfo": "MemTotal:        7802844 kB\n",
            "sys__devices__system__cpu__cpu0__cpufreq__scaling_cur_freq": "729600\n",
            "sys__devices__system__cpu__cpu1__cpufreq__scaling_cur_freq": "1510400\n",
            "sys__devices__system__cpu__cpu0__cpufreq__scaling_governor": "schedutil\n",
            "sys__class__devfreq__17000000.gpu__cur_freq": "624750000\n",
            "sys__class__thermal__thermal_zone0__temp": "50468\n",
            "sys__class__thermal__thermal_zone1__temp": "-256000\n",
            "sys__class__thermal__thermal_zone0__trip_point_0_type": "passive\n",
            "sys__class__thermal__thermal_zone0__trip_point_0_temp": "99000\n",
            "sys__class__thermal__thermal_zone0__trip_point_1_type": "critical\n",
            "sys__class__thermal__thermal_zone0__trip_point_1_temp": "104500\n",
        },
    )
    facts = machine.describe("jetson_orin_nano", root)
    assert facts["model"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["system"].startswith("Ubuntu 22.04.5 LTS, L4T R36.4.3, ")
    assert facts["memory_mib"] == pytest.approx(7620, abs=1)
    assert facts["clocks"] == "cpufreq governor schedutil"
    assert len(facts["serial_sha256"]) == 64
    assert "1421523012345" not in str(facts)
    assert machine.clock_mhz(root) == pytest.approx(1510.4)
    assert machine.gpu_clock_mhz(root) == pytest.approx(624.75)
    assert machine.temperature_c(root) == pytest.approx(50.468)
    assert machine.hot_c(root) == 99


def test_what_is_not_told_is_none(tmp_path: Path) -> None:
    """Never 0, and never an error."""
    assert machine.describe("any", tmp_path)["memory_mib"] is None
    for read in (machine.clock_mhz, machine.gpu_clock_mhz, machine.temperature_c, machine.hot_c):
        assert read(tmp_path) is None
    for read in (machine.throttle_count, machine.on_battery, machine.power_saver):
        assert read(tmp_path) is None
    assert machine.Load(tmp_path).others_share() is None
    assert machine.memory_mib("VmHWM", tmp_path) is None


def test_raspberry_pi_bits() -> None:
    """What is so now or has happened during the run counts; what happened before does not.

    0x50005 is a published answer: https://pastebin.com/xRpwmYYs; the bits:
    https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
    """
    assert machine.throttled_bits("throttled=0x50005\n") == 0x50005
    assert machine.throttled_bits("VCHI initialization failed\n") is None
    assert sampler.pi_reasons(0x50000, 0x50005) == ["throttled: under-voltage", "throttled: throttled"]
    assert sampler.pi_reasons(0x0, 0x20000) == ["throttled: the clock is capped"]
    assert sampler.pi_reasons(0x50000, 0x50000) == []
    assert sampler.pi_reasons(None, None) == []


def reading(clock: float | None, temperature: float | None) -> dict[str, float | None]:
    """As the sampler takes it."""
    return {"clock_mhz": clock, "gpu_clock_mhz": None, "temperature_c": temperature}


def test_a_clock_that_falls_in_the_heat_is_throttling() -> None:
    """A clock that falls on a cool device is not, nor heat with a steady clock."""
    falling = [reading(2400 - 60 * step, 60 + 2 * step) for step in range(12)]
    assert sampler.clock_reasons(falling, None) == ["throttled: the clock fell from 2340 to 1800 MHz at 82 degrees"]
    assert sampler.clock_reasons(falling, 99.0) == []
    assert sampler.clock_reasons([reading(2400, 82)] * 12, None) == []
    assert sampler.clock_reasons([reading(2400 - 60 * step, None) for step in range(12)], None) == []
    assert sampler.clock_reasons([], None) == []


def test_throttling_that_the_kernel_counts(tmp_path: Path) -> None:
    """Cores and packages of x86."""
    folder = "sys__devices__system__cpu__cpu{}__thermal_throttle__{}_throttle_count"
    root = files(tmp_path, **{folder.format(0, "core"): "3\n", folder.format(1, "package"): "4\n"})
    assert machine.throttle_count(root) == 7
    watching = sampler.Sampler(None, root)
    watching.start()
    files(root, **{folder.format(1, "package"): "6\n"})
    assert watching.finish() == ["throttled: the kernel counted 2 events"]


def test_others_at_work(tmp_path: Path) -> None:
    """The share of all cores is that of everyone without this process; a partner in turns is nobody else."""
    ticks = os.sysconf("SC_CLK_TCK")
    busy = f"cpu {1000 * ticks} 0 0 0 0 0 0 0 0 0\n"
    for alone, expected in ((True, ["others at work: they used 100% of all cores"]), (False, [])):
        root = files(tmp_path, proc__stat="cpu 0 0 0 0 0 0 0 0 0 0\n")
        watching = sampler.Sampler(None, root)
        watching.start()
        sampler.time.sleep(0.05)  # times of a process are counted in hundredths of a second
        files(root, proc__stat=busy)
        assert watching.finish(alone=alone) == expected


def test_battery_and_saver(tmp_path: Path) -> None:
    """A battery that is being emptied, and a profile that holds speed back; a mouse's battery is not the device's."""
    root = files(
        tmp_path,
        sys__class__power_supply__BAT0__type="Battery\n",
        sys__class__power_supply__BAT0__status="Discharging\n",
        sys__firmware__acpi__platform_profile="low-power\n",
    )
    assert machine.on_battery(root)
    assert machine.power_saver(root) == "the platform profile is low-power"
    files(root, sys__class__power_supply__BAT0__scope="Device\n", sys__firmware__acpi__platform_profile="balanced\n")
    assert machine.on_battery(root) is None
    assert machine.power_saver(root) is None
