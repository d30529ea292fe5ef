"""What tools and files tell about power, each read from samples of its format that others have published."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.devices.scripts import runner_script

text, power = runner_script("power_text"), runner_script("power")

JETPACK_4_XAVIER = (  # https://github.com/martinkersner/gtop/pull/7, a comment of 2019-06-17
    "RAM 14700/15692MB (lfb 3x2MB) SWAP 898/8192MB (cached 23MB) CPU [0%@1190,0%@1190,0%@1190,0%@1190,0%@1190,0%@1190,"
    "0%@1190,0%@1190] EMC_FREQ 0% GR3D_FREQ 0% AO@30C GPU@30.5C Tboard@31C Tdiode@32C AUX@30.5C CPU@31.5C "
    "thermal@30.8C PMIC@100C GPU 463/463 CPU 618/618 SOC 2936/2936 CV 0/0 VDDRQ 309/309 SYS5V 3306/3306"
)
JETPACK_4_TX2 = (  # https://github.com/henrygd/beszel/pull/1631
    "RAM 3276/7859MB (lfb 5x4MB) SWAP 1626/12122MB (cached 181MB) CPU [44%@1421,49%@2031,67%@2034,17%@1420,25%@1419,"
    "8%@1420] EMC_FREQ 1%@1866 GR3D_FREQ 0%@114 APE 150 MTS fg 1% bg 1% PLL@42.5C MCPU@42.5C PMIC@50C Tboard@38C "
    "GPU@39.5C BCPU@42.5C thermal@41.3C Tdiode@39.25C VDD_SYS_GPU 182/182 VDD_SYS_SOC 730/730 VDD_4V0_WIFI 0/0 "
    "VDD_IN 5297/5297 VDD_SYS_CPU 1917/1917 VDD_SYS_DDR 1241/1241"
)
JETPACK_5_AGX_ORIN = (  # catid/blog2022, content/posts/orin_opt.md (of April 2023, on JetPack 5.1)
    "04-24-2023 00:01:24 RAM 1282/62795MB (lfb 15152x4MB) SWAP 0/31398MB (cached 0MB) CPU [0%@729,0%@729,0%@729,0%@729,"
    "0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@0 GR3D2_FREQ 0%@0 "
    "VIC_FREQ 729 APE 174 CV0@-256C CPU@42.593C Tboard@32C SOC2@39.343C Tdiode@33.25C SOC0@39.375C CV1@-256C GPU@-256C "
    "tj@42.593C SOC1@40.468C CV2@-256C VDD_GPU_SOC 2399mW/2399mW VDD_CPU_CV 400mW/400mW VIN_SYS_5V0 4032mW/4032mW "
    "NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
)
JETPACK_6_ORIN_NANO = (  # https://github.com/henrygd/beszel, agent/gpu_test.go at 04600d83cc01, "more valid data"
    "11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) CPU [15%@729,11%@729,14%@729,13%@729,"
    "11%@729,8%@729] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[621] NVDEC off NVJPG off NVJPG1 off VIC off OFA off APE 200 "
    "cpu@53.968C soc2@52.437C soc0@50.75C gpu@53.343C tj@53.968C soc1@51.656C VDD_IN 12479mW/12479mW "
    "VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW"
)
JETPACK_6_ORIN_NANO_USER = (  # cmu-argus-1/tegrastats-parser, README.md at d5bcb3fbbff1, with its slip `598mW/598`
    "12-23-2024 22:54:11 RAM 3162/7620MB (lfb 4x2MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729,0%@729,0%@729,off,"
    "off] GR3D_FREQ 1% cpu@62.843C soc2@61.968C soc0@60.625C gpu@61.687C tj@62.843C soc1@61.687C "
    "VDD_IN 3913mW/3922mW VDD_CPU_GPU_CV 598mW/598 VDD_SOC 1238mW/1237mW"
)


@pytest.mark.parametrize(
    ("line", "watts", "of", "rails"),
    [
        (JETPACK_4_XAVIER, 7.632, "CPU + CV + GPU + SOC + SYS5V + VDDRQ", 6),
        (JETPACK_4_TX2, 5.297, "VDD_IN", 6),
        (JETPACK_5_AGX_ORIN, 7.132, "VDDQ_VDD2_1V8AO + VDD_CPU_CV + VDD_GPU_SOC + VIN_SYS_5V0", 4),
        (JETPACK_6_ORIN_NANO, 12.479, "VDD_IN", 3),
        (JETPACK_6_ORIN_NANO_USER, 3.913, "VDD_IN", 3),
    ],
)
def test_tegrastats(line: str, watts: float, of: str, rails: int) -> None:
    """Power now, not the average behind it; of the input, or of all rails where there is none; memory is no rail."""
    found = text.tegrastats_rails(line)
    assert len(found) == rails
    assert text.whole_w(found) == (pytest.approx(watts), of)


POWERMETRICS = """CPU 7 idle residency:  99.52%

CPU Power: 85 mW
GPU Power: 4 mW
ANE Power: 0 mW
Combined Power (CPU + GPU + ANE): 89 mW

**** GPU usage ****

GPU HW active frequency: 444 MHz
GPU idle residency:  92.92%
GPU Power: 4 mW



*** Sampled system activity (Fri Mar 22 14:54:38 2024 -0500) (5024.83ms elapsed) ***

*** Running tasks ***
"""
"""https://github.com/philipturner/applegpuinfo/issues/6: the end of a sample, and the beginning of the next one."""


def test_powermetrics_text() -> None:
    """Samples are told apart by the line that begins each, which holds the time that they cover."""
    mark = "*** Sampled system activity (Fri Mar 22 14:54:38 2024 -0500) (5024.83ms elapsed) ***\n"
    assert text.powermetrics_watts(mark + POWERMETRICS) == [(5.02483, pytest.approx(0.089))]
    assert text.powermetrics_watts(2 * (mark + POWERMETRICS)) == 2 * [(5.02483, pytest.approx(0.089))]
    assert text.powermetrics_watts("") == []


def test_powermetrics_text_of_intel() -> None:
    """One figure, in watts, in the line that joular/MacPowerMonitor's powermonitor-intel.sh looks for."""
    line = "Intel energy model derived package power (CPUs+GT+SA): 48.61W\n"
    assert text.powermetrics_watts("*** Sampled system activity (now) (1000.00ms elapsed) ***\n" + line) == [
        (1.0, 48.61)
    ]


RAPL = {  # https://github.com/flightlessmango/MangoHud/issues/1776, `powercap-info` of a laptop with Intel graphics
    "intel-rapl:0": ("package-0", 26963529117, 262143328850),
    "intel-rapl:0:0": ("core", 7980278886, 262143328850),
    "intel-rapl:0:1": ("uncore", 6564982278, 262143328850),
}


def rapl(root: Path, *, package_uj: int) -> None:
    """The same as files, with another count of the package."""
    for zone, (name, energy, limit) in RAPL.items():
        folder = root / "sys/class/powercap" / zone
        folder.mkdir(parents=True, exist_ok=True)
        count = package_uj if name == "package-0" else energy
        for file, value in (("name", name), ("energy_uj", count), ("max_energy_range_uj", limit)):
            (folder / file).write_text(f"{value}\n")


def test_rapl_is_the_package(tmp_path: Path) -> None:
    """Watts are joules by seconds, of the package alone: its parts are in it already."""
    rapl(tmp_path, package_uj=26963529117)
    source = power.Rapl(tmp_path)
    started = time.monotonic()
    time.sleep(0.05)
    rapl(tmp_path, package_uj=26963529117 + 500_000)
    watts = source.watts()
    assert source.source == "RAPL, package-0"
    assert 0.5 / (time.monotonic() - started + 0.01) < watts <= 0.5 / 0.05


def test_rapl_starts_again_at_zero() -> None:
    """The counter's range is 262 kJ: 73 minutes at 60 watts."""
    assert text.joules_between(262143328850 - 1_000_000, 500_000, 262143328850) == pytest.approx(1.5)
    assert text.joules_between(26963529117, 26963529117, 262143328850) == 0


RAILS = {"VDD_IN": (4968, 1520), "VDD_CPU_GPU_CV": (4960, 1784), "VDD_SOC": (4960, 496)}
"""Millivolts and milliamperes of a Jetson Orin Nano Super: ianswope/burnbar, tests/test_local_scripts.py, e01a3fcb72b4
("what the status probe's shell snippet prints on the Jetson, verbatim"). Names of the files: Linux's
Documentation/hwmon/ina3221.rst."""


def ina3221(root: Path) -> None:
    """The monitor's folder."""
    folder = root / "sys/class/hwmon/hwmon1"
    folder.mkdir(parents=True)
    (folder / "name").write_text("ina3221\n")
    for number, (name, (millivolts, milliamperes)) in enumerate(RAILS.items(), start=1):
        for file, value in (
            (f"in{number}_label", name),
            (f"in{number}_input", millivolts),
            (f"curr{number}_input", milliamperes),
        ):
            (folder / file).write_text(f"{value}\n")
    (folder / "in7_label").write_text("sum of shunt voltages\n")  # a channel without a current
    (folder / "in7_input").write_text("65\n")


def test_ina3221(tmp_path: Path) -> None:
    """The input rail is the module; a rail that the device's profile names comes first."""
    ina3221(tmp_path)
    whole, named = power.Rails(tmp_path, ()), power.Rails(tmp_path, ("VDD_SOC",))
    assert whole.watts() == pytest.approx(4.968 * 1.520)
    assert whole.source == "sysfs, VDD_IN"
    assert named.watts() == pytest.approx(4.960 * 0.496)
    assert named.source == "sysfs, VDD_SOC"


def test_a_device_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No power, and no figure made up; a counter that only root may read is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert power.open_power((), tmp_path) is None
    ina3221(tmp_path)
    assert power.open_power((), tmp_path).source == "sysfs, VDD_IN"


def command(folder: Path, name: str, lines: list[str]) -> None:
    """A program that prints these lines, again and again, as the vendor's does."""
    path = folder / name
    body = (
        f"import time\nwhile True:\n    for line in {lines!r}:\n        print(line, flush=True)\n    time.sleep(0.05)\n"
    )
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_tegrastats_is_read_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest line counts, and the program is ended."""
    command(tmp_path, "tegrastats", [JETPACK_6_ORIN_NANO])
    monkeypatch.setenv("PATH", str(tmp_path))
    source: Any = power.open_power((), tmp_path)
    assert source.watts() == pytest.approx(12.479)
    assert source.source == "tegrastats, VDD_IN"
    source.close()
    assert source._process.returncode is not None


def test_tegrastats_without_rails_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AGX board hides them from users who are not root."""
    monkeypatch.setattr(power, "FIRST_ANSWER_S", 0.3)
    command(tmp_path, "tegrastats", [JETPACK_6_ORIN_NANO.partition(" VDD_IN")[0]])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert power.open_power((), tmp_path) is None
