"""A web server for a browser artifact on this machine: compressed, with the headers that WebAssembly's threads need."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from moceir_edge.artifacts import read_artifact
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.records import Record
from moceir_edge.terms import TargetName

LOOPBACK = "127.0.0.1"

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}

TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".npy": "application/octet-stream",
    ".json": "application/json",
}

KEPT = 64
"""Compressed files that are kept in memory."""

LEVEL = 9
"""Of gzip: each file is compressed once."""


class Serving(Record):
    """Where a folder can be reached."""

    folder: str
    url: str


def serve(folder: Path, *, port: int = 8000, ready: Callable[[Serving], None] = lambda _: None) -> None:
    """Serve a browser artifact on loopback until interrupted; port 0 takes a free one.

    ready: called once, when it can be reached. Errors: ArtifactError for another folder, or one with a file missing or
    altered; InputError for a port that cannot be had.
    """
    with open_server(folder, port=port) as server:
        ready(Serving(folder=str(folder), url=f"http://{LOOPBACK}:{server.server_port}/"))
        server.serve_forever()


def open_server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """The server, not yet answering; errors as for `serve`."""
    if not 0 <= port <= 65535:
        raise InputError(f"port {port} is none", "give a number from 1 to 65535, or 0 for a free one")
    artifact = read_artifact(folder)
    if artifact.target is not TargetName.BROWSER:
        what = f"{folder}: made for {artifact.target}, and has no page"
        raise ArtifactError(what, "export with --recipe browser")
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        what = f"port {port} cannot be had: {error.strerror}"
        raise InputError(what, "give another with --port, or 0 for a free one") from error


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012 (the base class has it so)

    def send_head(self) -> BytesIO | BinaryIO | None:
        """As the base class, gzip-compressed where the browser takes that; folders are not listed."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        content = _packed(path, path.stat().st_mtime_ns) if packed else path.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(content)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        return BytesIO(content)

    def end_headers(self) -> None:
        """With what every answer carries."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
        """Nothing: the page tells what it does."""


@lru_cache(maxsize=KEPT)
def _packed(path: Path, changed_ns: int) -> bytes:
    del changed_ns
    return gzip.compress(path.read_bytes(), LEVEL, mtime=0)
