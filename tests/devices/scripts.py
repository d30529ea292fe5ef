"""The scripts of a device as modules, as the device itself would import them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from moceir_edge.resources import resource


def script(name: str, folder: Path | None = None) -> ModuleType:
    """One of the scripts of devices/jetson, or of another folder, with those that it imports."""
    place = str(resource("devices") / "jetson" if folder is None else folder)
    sys.path.insert(0, place)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(place)


def runner_script(name: str) -> ModuleType:
    """One of the scripts of devices/runner."""
    return script(name, resource("devices") / "runner")
