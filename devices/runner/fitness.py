"""Whether this machine is the one a bundle is for: its system and board, its runtime, and room for it."""

from __future__ import annotations

import importlib
import platform
import re
from pathlib import Path

from problem import Problem

BOARD_NOTE = Path("/proc/device-tree/model")
ANY = "give --any-device to run it all the same"

SYSTEMS = {
    "Linux": ("linux", "ubuntu", "debian", "jetpack", "raspberry pi os"),
    "Darwin": ("macos",),
    "Windows": ("windows",),
}
PROCESSORS = {
    "x86": ("x86", "amd64", "intel"),
    "arm": ("arm", "aarch64", "jetpack", "raspberry pi os"),
}
KINDS = ("jetson", "xavier", "orin", "thor", "agx", "nano", "nx", "raspberry")
"""Words that tell boards apart, in their device trees as in the names of profiles; so does the number of a Pi."""

MODULES = {"onnx": "onnxruntime", "qnn": "onnxruntime", "tensorrt": "tensorrt", "openvino": "openvino"}
"""The Python module that runs a target."""

SPARE = 2**20
"""Bytes that stay free on the disk."""


def machine():
    """System, processor and board (None without a device tree) as this machine tells them."""
    processor = platform.machine().lower()
    kind = "x86" if processor in ("x86_64", "amd64") else "arm" if processor in ("aarch64", "arm64") else processor
    board = BOARD_NOTE.read_text(encoding="utf-8").strip("\0\n ") if BOARD_NOTE.is_file() else None
    return {"system": platform.system(), "processor": kind, "board": board}


def require_device(manifest, here=None):
    """Problem where this is surely another device; what cannot be told is let through."""
    here = machine() if here is None else here
    title = manifest["profile"].get("title", manifest["device"])
    wanted = str(manifest["profile"].get("system", "")).lower()
    if manifest["runner"] != "python":
        raise Problem("this bundle is for {} and its {} runner; use that".format(title, manifest["runner"]))
    for kind, words in (("system", SYSTEMS), ("processor", PROCESSORS)):
        named = [name for name, known in words.items() if any(re.search(r"\b" + word, wanted) for word in known)]
        if named and here[kind] not in named:
            text = "this bundle is for {} ({}), and this machine is {}; make one for this device, or {}"
            raise Problem(text.format(title, " or ".join(named), here[kind], ANY))
    if another_board(manifest["device"], here["board"]):
        text = "this bundle is for {}, and this is '{}'; make one for this device, or {}"
        raise Problem(text.format(title, here["board"], ANY))


def another_board(device, board):
    """Whether a board surely is no such device: each of the two names a kind that the other does not."""
    wanted, found = kinds(device), kinds(board or "")
    return bool(wanted - found) and bool(found - wanted)


def kinds(name):
    """The words of a name that tell boards apart: {"raspberry", "5"} of "Raspberry Pi 5 Model B Rev 1.0"."""
    words = re.findall(r"[a-z]+", name.lower())
    return set(re.findall(r"pi[ _](\d+)", name.lower())).union(word for word in words if word in KINDS)


def require_runtime(manifest):
    """Problem where the runtime is not installed, or of a version that the profile does not name."""
    needs, name = manifest["needs"], MODULES.get(manifest["target"])
    if name is None:
        raise Problem("this runner cannot run target {}; use its own runner".format(manifest["target"]))
    lowest, limit = needs.get("from_version"), needs.get("below_version")
    wanted = name + ",".join(sign + text for sign, text in ((">=", lowest), ("<", limit)) if text)
    how = repair(name, wanted)
    try:
        found = importlib.import_module(name).__version__
    except (ImportError, OSError, AttributeError) as error:
        raise Problem("{} does not load ({}); {}".format(name, error, how)) from error
    if lowest and numbers(found) < numbers(lowest):
        raise Problem("{} {} is here, and the bundle needs {} or later; {}".format(name, found, lowest, how))
    if limit and numbers(found) >= numbers(limit):
        raise Problem("{} {} is here, and the bundle needs one below {}; {}".format(name, found, limit, how))


def repair(name, wanted):
    """How the runtime gets here."""
    if name == "tensorrt":
        return "it comes with JetPack: sudo apt install python3-libnvinfer"
    return "python3 -m pip install '{}'".format(wanted)


def numbers(version):
    """(1, 22, 1) of "1.22.1+cpu", (10, 3, 0) of "10.3"."""
    found = [int(part) for part in re.findall(r"[0-9]{1,9}", version.split("+")[0])[:3]]
    return tuple(found + [0] * (3 - len(found)))


def require_space(folder, size_bytes):
    """Problem where a folder, or the nearest one above that exists, has no room."""
    import shutil

    place = next(one for one in [folder.absolute(), *folder.absolute().parents] if one.exists())
    free = shutil.disk_usage(str(place)).free
    if free < size_bytes + SPARE:
        text = "{}: {:.1f} MiB are free, and {:.1f} are needed; free some space, or choose another folder"
        raise Problem(text.format(folder, free / 2**20, (size_bytes + SPARE) / 2**20))
