"""The static page around a model: what is copied into an artifact, and the library that comes with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from moceir_edge.errors import MissingBackendError
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import resource

PAGE = (
    "index.html",
    "style.css",
    "app.js",
    "worker.js",
    "engine.js",
    "npy.js",
    "picture.js",
    "guard.js",
    "profile.js",
    "steady.js",
    "service.js",
)

LIBRARY = "ort"
"""Where onnxruntime-web lies in the artifact."""

WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


def sources() -> Path:
    """The folder of the page's own sources."""
    return resource("devices") / "browser"


def library() -> Path:
    """The files of onnxruntime-web as npm installed them; MissingBackendError where it did not."""
    folder = sources() / "node_modules" / "onnxruntime-web" / "dist"
    if not all((folder / name).is_file() for name in (*WASM, *WEBGPU)):
        raise MissingBackendError("onnxruntime-web is not installed", f"npm ci --prefix {sources()}")
    return folder


def library_version() -> str:
    """Of onnxruntime-web."""
    return str(json.loads((library().parent / "package.json").read_text(encoding="utf-8"))["version"])


def write_page(folder: Path, *, webgpu: bool) -> None:
    """Copy the page and its library beside a model; modules end in .js, which every web server knows."""
    for name in PAGE:
        shutil.copyfile(sources() / name, folder / name)
    (folder / LIBRARY).mkdir()
    for name in (*WASM, *(WEBGPU if webgpu else ())):
        shutil.copyfile(library() / name, folder / LIBRARY / _served(name))


def is_library_of(folder: Path) -> bool:
    """Whether an artifact's WebAssembly is the one that is installed here."""
    return all(
        (folder / LIBRARY / _served(name)).is_file()
        and sha256_of_file(folder / LIBRARY / _served(name)) == sha256_of_file(library() / name)
        for name in WASM
    )


def _served(name: str) -> str:
    return Path(name).with_suffix(".js").name if name.endswith(".mjs") else name
