"""What may change a result beside what is asked for: our own code, and the libraries that stages use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from moceir_edge.errors import MissingBackendError
from moceir_edge.records import sha256_of_file, sha256_of_value
from moceir_edge.resources import resource
from moceir_edge.targets import browser_page

LIBRARIES = (
    "moceir-edge",
    "torch",
    "numpy",
    "scipy",
    "Pillow",
    "imagecodecs",
    "scikit-image",
    "onnx",
    "onnxruntime",
    "onnxruntime-qnn",
    "nncf",
    "openvino",
    "coremltools",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
    "tensorrt-rtx-cu13-libs",
)
"""Python packages; the browser's library comes from npm."""

_NOT_OURS = frozenset({"node_modules", "__pycache__", "_data"})
"""Folders of libraries, of what Python compiled, and of what lies beside the package in a checkout."""


def versions() -> dict[str, str]:
    """Our version and code, and the versions of every library that a stage may use, as far as they are installed."""
    installed = {name: number for name, number in library_versions().items() if number is not None}
    return {"code": code_sha256(), **installed}


def library_versions() -> dict[str, str | None]:
    """By name; None where a library is not installed."""
    return {**{name: _version(name) for name in LIBRARIES}, "onnxruntime-web": _browser_version()}


def code_sha256() -> str:
    """Hash of our own sources, those that travel to devices too: a stage of other code is not reused."""
    package, devices = Path(__file__).parent, resource("devices")
    ours = [[name, sha256_of_file(package / name)] for name in _files(package) if name.endswith(".py")]
    return sha256_of_value([*ours, *(["devices", name, sha256_of_file(devices / name)] for name in _files(devices))])


def _files(top: Path) -> Iterator[str]:
    """Names of files below a folder, sorted within each of its folders."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and not name.startswith("."))
        yield from ((Path(folder) / name).relative_to(top).as_posix() for name in sorted(files))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _browser_version() -> str | None:
    try:
        return browser_page.library_version()
    except MissingBackendError:
        return None
