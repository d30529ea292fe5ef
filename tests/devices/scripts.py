"""The scripts of a device as modules, as the device itself would import them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from moceir_edge.resources import resource


def script(name: str) -> ModuleType:
    """One of the scripts of devices/jetson, with those that it imports."""
    folder = str(resource("devices") / "jetson")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)
