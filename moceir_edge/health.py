"""What is installed, which targets work here, and what to install for the others."""

from __future__ import annotations

import os
import platform

from moceir_edge.processor import has_vnni
from moceir_edge.records import Record
from moceir_edge.targets.target import target_of
from moceir_edge.terms import TargetName
from moceir_edge.versions import library_versions


class TargetHealth(Record):
    """Whether a target can export here; `remedy` says what to install."""

    target: TargetName
    works: bool
    remedy: str = ""


class Health(Record):
    """The machine as moceir-edge sees it; None: not installed, or not to be told on this system."""

    python: str
    system: str
    cores: int
    libraries: dict[str, str | None]
    targets: tuple[TargetHealth, ...]
    gpu: str | None
    vnni: bool | None
    notes: tuple[str, ...]


def doctor() -> Health:
    """Look around; nothing is changed."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    vnni = has_vnni()
    notes = [] if gpu else ["no GPU: TensorRT engines are parsed and built here, not executed"]
    if vnni is False:
        notes.append("this x86 has no VNNI: 8-bit weights saturate, keep quantize.reduced_range on")
    if platform.system() != "Darwin":
        notes.append("Core ML runs on macOS only: its packages are executed here by our own emulator")
    return Health(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        libraries=library_versions(),
        targets=tuple(_health(name) for name in TargetName),
        gpu=gpu,
        vnni=vnni,
        notes=tuple(notes),
    )


def _health(name: TargetName) -> TargetHealth:
    try:
        missing = target_of(name).missing()
    except ImportError as error:
        missing = str(error)
    return TargetHealth(target=name, works=missing is None, remedy=missing or "")
