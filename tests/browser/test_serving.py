"""The server: what it sends, how, and what it keeps to itself."""

from __future__ import annotations

import gzip
import http.client
from pathlib import Path
from shutil import copytree
from urllib.parse import urlsplit

import pytest

from moceir_edge.artifacts import file_entries
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.serving import open_server


def answer(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, as they come over the wire; the path goes as it is."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    found = connection.getresponse()
    return found.status, dict(found.getheaders()), found.read()


def test_every_file_comes_whole(url: str, artifact: Path) -> None:
    """Plain or compressed, and compressed is smaller; all of it is below 8 MB over the wire."""
    sent = 0
    for name in file_entries(artifact):
        content = (artifact / name).read_bytes()
        status, _, plain = answer(url, f"/{name}")
        assert (status, plain) == (200, content)
        _, headers, packed = answer(url, f"/{name}", Accept_Encoding="gzip, br")
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed) == content
        sent += 0 if name.startswith("golden/") else len(packed)
    assert sent < 8e6


@pytest.mark.parametrize(
    ("name", "kind"),
    [("app.mjs", "text/javascript"), ("service.js", "text/javascript"), ("", "text/html"), ("style.css", "text/css"),
     ("ort/ort-wasm-simd-threaded.wasm", "application/wasm"), ("artifact.json", "application/json")],
)  # fmt: skip
def test_kinds_and_isolation(url: str, name: str, kind: str) -> None:
    """Browsers refuse modules of another kind, and give threads to isolated pages alone."""
    _, headers, _ = answer(url, f"/{name}")
    assert headers["Content-type" if "Content-type" in headers else "Content-Type"].startswith(kind)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


OUTSIDE = ("/../slim.safetensors", "/%2e%2e/slim.safetensors", "/..%2fslim.safetensors", "/nothing", "/golden/")


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_served(url: str, path: str) -> None:
    """Neither what lies beside the folder, nor lists of files."""
    status, _, body = answer(url, path)
    assert status == 404
    assert b"slim.safetensors" not in body


def test_it_listens_on_loopback_alone(artifact: Path) -> None:
    """No other machine gets in."""
    with open_server(artifact, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_what_cannot_be_served_is_refused(artifact: Path, rain: Path, tmp_path: Path) -> None:
    """No artifact, an altered one, and a port that is taken or none."""
    with pytest.raises(ArtifactError, match="not an artifact"):
        open_server(rain, port=0)
    altered = copytree(artifact, tmp_path / "altered")
    (altered / "app.mjs").write_text("alert(1)")
    with pytest.raises(ArtifactError, match=r"app\.mjs was altered"):
        open_server(altered, port=0)
    with open_server(artifact, port=0) as server, pytest.raises(InputError, match=r"port \d+ cannot be had"):
        open_server(artifact, port=server.server_port)
    with pytest.raises(InputError, match="port 70000 is none"):
        open_server(artifact, port=70000)
