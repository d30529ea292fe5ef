"""What the emulation is made of: Debian's packages for Arm and QEMU, and wheels; how apt and pip are asked for them.

apt gets lists, cache and a state of its own, so nothing of this system is touched and nobody has to be root. It reads
the system's sources, which have to offer arm64, as Debian's do. apt and pip check signatures and hashes themselves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from moceir_edge.errors import MissingBackendError

ONNXRUNTIME = "1.22.1"
"""Release of the Arm wheel: 1.32.0 crashes when imported under QEMU 7.2."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""Those that this release has wheels for."""

QEMU_NAMES = ("qemu-aarch64-static", "qemu-aarch64")
"""The program; newer releases of Debian build it statically under the shorter name."""

_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


def apt_config(folder: Path, *, host: str) -> str:
    """apt.conf for an apt that works below `folder` alone, for Arm and for the architecture of this machine."""
    return "".join(
        f"{line};\n"
        for line in (
            'APT::Architecture "arm64"',
            f'APT::Architectures {{ "arm64"; "{host}"; }}',
            'APT::Sandbox::User "root"',
            'APT::Update::Error-Mode "any"',
            'Acquire::Retries "2"',
            "#clear APT::Update::Post-Invoke",
            "#clear APT::Update::Post-Invoke-Success",
            "#clear DPkg::Post-Invoke",
            f'Dir::State "{folder}/state"',
            f'Dir::State::Lists "{folder}/lists"',
            f'Dir::State::status "{folder}/status"',
            f'Dir::Cache "{folder}/cache"',
            'Debug::NoLocking "true"',
        )
    )


def python_in(listing: str) -> str:
    """The newest Python that apt lists ("python3.11-minimal - ...") and the wheel is for, as "3.11"."""
    listed = re.findall(r"^python(3\.\d+)-minimal\b", listing, re.MULTILINE)
    known = [number for number in PYTHONS if number in listed]
    if not known:
        found = ", ".join(sorted(set(listed))) or "none"
        raise MissingBackendError(
            f"apt offers no Python for arm64 that ONNX Runtime {ONNXRUNTIME} has a wheel for (found: {found})",
            f"use a release of Debian with one of {', '.join(PYTHONS)}, and apt sources that offer arm64",
        )
    return known[-1]


def debian_packages(python: str, *, host: str) -> tuple[str, ...]:
    """What apt is asked for; it adds what these depend on, whatever its name is in this release."""
    return (f"python{python}-minimal", f"libpython{python}-stdlib", "libstdc++6", f"qemu-user-static:{host}")


def pip_command(python: str, site: Path) -> list[str]:
    """Install the wheels for Arm into `site`: two packages that need no other ones to run a model."""
    platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
    chosen = ["--python-version", python, "--implementation", "cp", "--only-binary=:all:", "--no-deps", *platforms]
    wheels = [f"onnxruntime=={ONNXRUNTIME}", "numpy>=1.26,<2.4"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    return [sys.executable, "-m", "pip", "install", *quiet, "--upgrade", "--target", str(site), *chosen, *wheels]


def last_line(lines: Iterable[str]) -> str:
    """What a tool said last, errors before warnings; for a message of one line."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith(("E:", "ERROR:"))]
    return (errors or said or ["it said nothing"])[-1][:200]
