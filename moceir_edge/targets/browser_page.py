"""The static page around a model: what is copied into an artifact, and the library that comes with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from moceir_edge.artifacts import FILE_NAME
from moceir_edge.errors import MissingBackendError
from moceir_edge.records import sha256_of_file, sha256_of_value
from moceir_edge.resources import resource

PAGE = ("index.html", "style.css", "app.mjs", "worker.mjs", "engine.mjs", "npy.mjs", "picture.mjs")
"""What people and their browsers get, beside the service worker."""

SERVICE = "service.js"

LIBRARY = "ort"
"""Where onnxruntime-web lies in the artifact."""

WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


def sources() -> Path:
    """The folder of the page's own sources."""
    return resource("devices") / "browser"


def library() -> Path:
    """The files of onnxruntime-web as npm installed them; MissingBackendError where it did not."""
    folder = sources() / "node_modules" / "onnxruntime-web"
    absent = [name for name in (*WASM, *WEBGPU) if not (folder / "dist" / name).is_file()]
    if absent:
        raise MissingBackendError("onnxruntime-web is not installed", f"npm ci --prefix {sources()}")
    return folder


def library_version() -> str:
    """Of onnxruntime-web."""
    return str(json.loads((library() / "package.json").read_text(encoding="utf-8"))["version"])


def write_page(folder: Path, model: str, *, webgpu: bool) -> None:
    """Copy the page and its library beside a model that is there already."""
    for name in PAGE:
        shutil.copyfile(sources() / name, folder / name)
    (folder / LIBRARY).mkdir()
    for name in (*WASM, *(WEBGPU if webgpu else ())):
        shutil.copyfile(library() / "dist" / name, folder / LIBRARY / name)
    loaded = [*PAGE, *(f"{LIBRARY}/{name}" for name in WASM), model]
    version = sha256_of_value({name: sha256_of_file(folder / name) for name in loaded})
    files = json.dumps(["./", *loaded, FILE_NAME])
    text = (sources() / SERVICE).read_text(encoding="utf-8")
    text = text.replace("@VERSION@", version).replace("@FILES@", files)
    (folder / SERVICE).write_text(text, encoding="utf-8")
