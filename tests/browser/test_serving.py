"""The server: what it sends, how, and what it keeps to itself."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from urllib.parse import urlsplit

import pytest

from moceir_edge.artifacts import file_entries
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.serving import open_server


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Where an artifact is served for a while."""
    with open_server(folder, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
    [("app.js", "text/javascript"), ("service.js", "text/javascript"), ("", "text/html"), ("style.css", "text/css"),
     ("ort/ort-wasm-simd-threaded.wasm", "application/wasm"), ("artifact.json", "application/json")],
)  # fmt: skip
def test_kinds_and_isolation(url: str, name: str, kind: str) -> None:
    """Browsers refuse modules of another kind, and give threads to isolated pages alone."""
    _, headers, _ = answer(url, f"/{name}")
    assert headers["Content-Type"].startswith(kind)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "connect-src 'self'" in headers["Content-Security-Policy"]


OUTSIDE = ("/../slim.safetensors", "/%2e%2e/slim.safetensors", "/..%2fslim.safetensors", "/nothing", "/golden/")


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_served(url: str, path: str) -> None:
    """Neither what lies beside the folder, nor lists of files."""
    status, _, body = answer(url, path)
    assert status == 404
    assert b"slim.safetensors" not in body


def test_what_the_browser_has_is_not_sent_again(url: str) -> None:
    """By its sha256, compressed and plain apart."""
    for accepted in ("gzip", "identity"):
        _, headers, body = answer(url, "/model.onnx", Accept_Encoding=accepted)
        status, _, nothing = answer(url, "/model.onnx", Accept_Encoding=accepted, If_None_Match=headers["ETag"])
        assert body
        assert (status, nothing) == (304, b"")
    assert answer(url, "/model.onnx", Accept_Encoding="identity", If_None_Match='"old"')[0] == 200


def test_another_name_of_this_machine_gets_nothing(url: str) -> None:
    """A foreign page whose name points here cannot read it."""
    assert answer(url, "/app.js", Host="evil.example")[0] == 404
    assert answer(url, "/app.js", Host="localhost")[0] == 200


def test_files_beside_the_artifacts_own_are_not_served(artifact: Path, tmp_path: Path) -> None:
    """Neither what came later, nor what a link points to."""
    folder = copytree(artifact, tmp_path / "more")
    (folder / ".env").write_text("secret")
    (folder / "link").symlink_to("/etc/passwd")
    with served(folder) as there:
        assert answer(there, "/.env")[0] == answer(there, "/link")[0] == 404
        assert answer(there, "/" + "a" * 5000)[0] == 404


def test_a_bundles_folder_is_served(artifact: Path, tmp_path: Path) -> None:
    """The page as from the artifact alone, the manifest that a profile belongs to, and the user's own golden pairs."""
    copytree(artifact, tmp_path / "artifact")
    (tmp_path / "manifest.json").write_text('{"name": "derain"}', encoding="utf-8")
    (tmp_path / "signature.json").write_text("{}", encoding="utf-8")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "0.input.npy").write_bytes(b"own")
    with served(tmp_path) as there:
        assert answer(there, "/manifest.json")[2] == b'{"name": "derain"}'
        assert answer(there, "/")[2] == (artifact / "index.html").read_bytes()
        assert answer(there, "/bundle/golden/0.input.npy")[2] == b"own"
        assert answer(there, "/golden/0.input.npy")[2] == (artifact / "golden" / "0.input.npy").read_bytes()
        assert answer(there, "/signature.json")[0] == answer(there, "/artifact/index.html")[0] == 404


def test_it_listens_on_loopback_alone(artifact: Path) -> None:
    """No other machine gets in."""
    with open_server(artifact, port=0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_what_cannot_be_served_is_refused(artifact: Path, rain: Path, tmp_path: Path) -> None:
    """No artifact, an altered one, and a port that is taken or none."""
    with pytest.raises(ArtifactError, match="not an artifact"):
        open_server(rain, port=0)
    altered = copytree(artifact, tmp_path / "altered")
    (altered / "app.js").write_text("alert(1)")
    with pytest.raises(ArtifactError, match=r"app\.js was altered"):
        open_server(altered, port=0)
    with open_server(artifact, port=0) as server, pytest.raises(InputError, match=r"port \d+ cannot be had"):
        open_server(artifact, port=server.server_port)
    with pytest.raises(InputError, match="port 70000 is none"):
        open_server(artifact, port=70000)
