"""A web server for a browser artifact on this machine: compressed, with the headers that WebAssembly's threads need."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from moceir_edge.artifacts import FILE_NAME, read_artifact
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.records import Record, sha256_of_file
from moceir_edge.terms import TargetName

PORT = 8377
"""Of no other program that is widely used: what a browser keeps belongs to host and port."""

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
"""What a browser may call this machine; under any other name, another page is behind the request."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and reach: itself."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}

TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}

INDEX = "index.html"
MANIFEST, INSIDE, OWN_PAIRS = "manifest.json", "artifact", "golden"
"""What a bundle's folder holds: the page asks for the first when it profiles the device, and for the last where the
golden pictures are the user's own."""

OUTSIDE = "bundle"
"""Where the page finds what lies in its bundle, but not in the artifact."""

LEVEL = 9
"""Of gzip: each file is compressed once."""


class Serving(Record):
    """Where a folder can be reached."""

    folder: str
    url: str


def serve(folder: Path, *, port: int = PORT, ready: Callable[[Serving], None] = lambda _: None) -> None:
    """Serve a browser artifact, or the folder of an unpacked bundle with one, on loopback until interrupted.

    port: 0 takes a free one.
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
    bundle = folder if (folder / MANIFEST).is_file() and (folder / INSIDE).is_dir() else None
    folder = folder / INSIDE if bundle is not None else folder
    artifact = read_artifact(folder)
    if artifact.target is not TargetName.BROWSER:
        what = f"{folder}: made for {artifact.target}, and has no page"
        raise ArtifactError(what, "export with --recipe browser")
    paths = {name: folder / name for name in (FILE_NAME, *artifact.files)}
    if bundle is not None:
        paths[MANIFEST] = bundle / MANIFEST
        paths |= {f"{OUTSIDE}/{OWN_PAIRS}/{path.name}": path for path in (bundle / OWN_PAIRS).glob("*.npy")}
    known = {name: (path, sha256_of_file(path)) for name, path in paths.items()}
    try:
        return _Server((LOOPBACK, port), partial(_Handler, known=known))
    except OSError as error:
        what = f"port {port} cannot be had: {error.strerror}"
        raise InputError(what, "give another with --port, or 0 for a free one") from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves in the middle, as it does when a page is reloaded, is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Sends the files of one artifact, by name; known: where they are, and their sha256."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, known: Mapping[str, tuple[Path, str]]) -> None:
        self.known = known
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """A file, compressed where the browser takes that, or nothing new where it has it already."""
        name = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        path, sha256 = self.known.get(name, (None, ""))
        if host not in NAMES or path is None or path.is_symlink():
            self._answer(HTTPStatus.NOT_FOUND, b"", {})
            return
        packs = "gzip" in [word.strip() for word in self.headers.get("Accept-Encoding", "").split(",")]
        tag = f'"{sha256}{"-gzip" if packs else ""}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", {"ETag": tag})
            return
        headers = {"ETag": tag, "Content-Type": TYPES.get(path.suffix, "application/octet-stream")}
        content = _packed(path, sha256) if packs else path.read_bytes()
        self._answer(HTTPStatus.OK, content, {**headers, **({"Content-Encoding": "gzip"} if packs else {})})

    def _answer(self, status: HTTPStatus, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class calls it so)
        """Nothing: the page tells what it does."""


@cache
def _packed(path: Path, sha256: str) -> bytes:
    del sha256
    return gzip.compress(path.read_bytes(), LEVEL, mtime=0)
