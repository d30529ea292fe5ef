"""The Android app opens a bundle only if it is whole, unaltered, harmless and for it."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.devices.bundles import PHONE, packed, phone_bundle, unpacked
from tests.devices.jvm import answers


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key in PEM."""
    return private_key(tmp_path_factory.mktemp("key") / "key.pem")


@pytest.fixture(scope="module")
def archive(key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle that nobody changes."""
    return phone_bundle(tmp_path_factory.mktemp("bundle"), sign=key)


@pytest.fixture
def folder(archive: Path, tmp_path: Path) -> Path:
    """The same, unpacked, of one's own."""
    return unpacked(archive, tmp_path)


def private_key(path: Path) -> Path:
    """Write one."""
    keys = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    forms = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    made = keys.Ed25519PrivateKey.generate()
    path.write_bytes(
        made.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()),
    )
    return path


def asking(path: Path, scratch: Path, **demand: Any) -> dict[str, Any]:
    """To open it."""
    return {"ask": "open", "path": str(path), "scratch": str(scratch), **demand}


def opened(path: Path, scratch: Path, **demand: Any) -> dict[str, Any]:
    """What the app says of it."""
    (found,) = answers(asking(path, scratch, **demand))
    assert isinstance(found, dict)
    return found


OTHER_MANIFESTS: list[tuple[dict[str, Any], str]] = [
    ({"schema_version": 2}, "schema 2 is newer than 1; install a newer app"),
    ({"schema_version": "one"}, "it has no schema_version"),
    ({"runner": "python"}, "for the runner python"),
    ({"device": "pixel_9"}, "the bundle is for pixel_9; make one with --device pixel_8"),
    ({"tasks": 3}, "`tasks` is missing or of another kind"),
    ({"needs": {"runtime": "onnxruntime", "from_version": "1.30", "below_version": None}}, "needs 1.30 or later"),
    ({"needs": {"runtime": "onnxruntime", "from_version": None, "below_version": "1.9"}}, "needs one below 1.9"),
]

HOSTILE = [
    ("/etc/evil", tarfile.REGTYPE, "holds the path /etc/evil"),
    ("{top}/../../evil", tarfile.REGTYPE, "holds the path"),
    ("{top}/./evil", tarfile.REGTYPE, "holds the path"),
    ("{top}//evil", tarfile.REGTYPE, "holds the path"),
    ("{top}/evil\\..\\x", tarfile.REGTYPE, "holds the path"),
    ("{top}/link", tarfile.SYMTYPE, "no plain file"),
    ("{top}/link", tarfile.LNKTYPE, "no plain file"),
    ("{top}/pipe", tarfile.FIFOTYPE, "no plain file"),
    ("{top}/MANIFEST.json", tarfile.REGTYPE, "twice"),
    ("other/file", tarfile.REGTYPE, "outside of its folder"),
    ("{top}/more", tarfile.REGTYPE, "holds more, which its manifest does not list"),
]


def test_a_folder_and_an_archive_are_the_same_bundle(archive: Path, folder: Path, tmp_path: Path) -> None:
    """Its hash is that of its manifest; an archive lies in the scratch folder then, whole."""
    from_folder = opened(folder, tmp_path / "scratch")
    from_archive = opened(archive, tmp_path / "scratch", device=PHONE)
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert from_folder["sha256"] == from_archive["sha256"] == digest
    assert from_archive["folder"] == str(tmp_path / "scratch" / folder.name)
    assert from_folder["tasks"] == ["derain"]
    assert from_folder["size"] == [32, 40]
    assert from_folder["provider"] == "xnnpack"
    assert Path(from_archive["model"]).read_bytes() == (folder / "artifact" / "model.ort").read_bytes()


def test_another_manifest_is_refused(archive: Path, tmp_path: Path) -> None:
    """Newer, for another runner, device or runtime, or of fields that are none: each says which."""
    asked = []
    for number, (changes, _) in enumerate(OTHER_MANIFESTS):
        folder = unpacked(archive, tmp_path / str(number), **changes)
        asked.append(asking(folder, tmp_path / "scratch", device=PHONE, runtime="1.22.0"))
    for found, (_, said) in zip(answers(*asked), OTHER_MANIFESTS, strict=True):
        assert said in found["problem"]


def test_a_damaged_manifest_is_refused(archive: Path, tmp_path: Path) -> None:
    """No JSON, no object, or brackets without end."""
    asked = []
    for number, text in enumerate(("", "[]", '{"schema_version": 1', "[" * 100_000)):
        folder = unpacked(archive, tmp_path / str(number))
        (folder / "manifest.json").write_text(text)
        asked.append(asking(folder, tmp_path / "scratch"))
    assert all("damaged" in found["problem"] for found in answers(*asked))


def test_an_altered_missing_or_foreign_file_is_refused(folder: Path, tmp_path: Path) -> None:
    """Each is named; the same size does not hide a change."""
    model = folder / "artifact" / "model.ort"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "artifact/model.ort: it was altered" in opened(folder, tmp_path / "scratch")["problem"]
    model.unlink()
    assert "lacks its file artifact/model.ort" in opened(folder, tmp_path / "scratch")["problem"]
    model.write_bytes(whole)
    (folder / "artifact" / "extra.so").write_bytes(b"")
    assert (
        "holds artifact/extra.so, which its manifest does not list" in opened(folder, tmp_path / "scratch")["problem"]
    )


def test_a_manifest_that_lists_a_file_outside_is_refused(archive: Path, tmp_path: Path) -> None:
    """Even if that file exists and has the hash that is told."""
    (tmp_path / "outside").write_bytes(b"secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    folder = unpacked(archive, tmp_path, files={"../outside": {"sha256": digest, "size_bytes": 6}})
    assert "lists the path ../outside" in opened(folder, tmp_path / "scratch")["problem"]


def plain(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """An entry of a tar."""
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = "/etc/passwd"
    return entry


def test_a_hostile_entry_is_refused(folder: Path, tmp_path: Path) -> None:
    """Nothing is written outside, and nothing stays in the scratch folder."""
    asked = []
    for number, (name, kind, _) in enumerate(HOSTILE):
        entry = plain(name.format(top=folder.name), kind)
        data = b"evil" if kind == tarfile.REGTYPE else b""
        path = packed(folder, tmp_path / f"{number}.tar.gz", [(entry, data)])
        asked.append(asking(path, tmp_path / "new" / str(number)))
    for found, (_, _, said) in zip(answers(*asked), HOSTILE, strict=True):
        assert said in found["problem"]
    assert not list((tmp_path / "new").rglob("*"))
    assert not list(tmp_path.rglob("evil"))


def test_a_long_path_is_read(folder: Path, tmp_path: Path) -> None:
    """USTAR cuts a path of more than 100 characters in two: a bundle of all tasks has such paths."""
    top = "denoise-" * 11 + folder.name
    renamed = folder.rename(folder.with_name(top))
    path = packed(renamed, tmp_path / "long.tar.gz", form=tarfile.USTAR_FORMAT)
    with tarfile.open(path) as tar:
        longest = max(tar.getnames(), key=len)
    assert len(longest) > 100
    found = opened(path, tmp_path / "scratch")
    assert found["folder"] == str(tmp_path / "scratch" / top)
    assert (tmp_path / "scratch" / longest).read_bytes() == (renamed.parent / longest).read_bytes()


def test_an_archive_that_is_cut_short_or_none_is_refused(archive: Path, tmp_path: Path) -> None:
    """Wherever it ends; nothing stays of it."""
    whole = archive.read_bytes()
    asked = []
    for length in (0, 5, 20, len(whole) // 2, len(whole) - 9):
        path = tmp_path / f"{length}.tar.gz"
        path.write_bytes(whole[:length])
        asked.append(asking(path, tmp_path / "new" / str(length)))
    other = tmp_path / "other.tar.gz"
    other.write_bytes(b"no archive at all")
    *short, no_archive, nothing = answers(
        *asked, asking(other, tmp_path / "new" / "other"), asking(tmp_path / "nothing", tmp_path / "new" / "nothing")
    )
    for found in short:
        assert "cut short" in found["problem"] or "cannot be unpacked" in found["problem"]
    assert "cannot be unpacked" in no_archive["problem"]
    assert "there is no bundle" in nothing["problem"]
    assert not list((tmp_path / "new").rglob("*"))


def test_a_signature_is_checked_where_one_is_asked_for(folder: Path, tmp_path: Path) -> None:
    """As `bundle --sign` writes it: unsigned, by another key, or of another manifest, it is refused."""
    signed = json.loads((folder / "signature.json").read_bytes())
    key, strange = signed["public_key"], base64.b64encode(bytes(32)).decode()
    other, altered, unsigned = (tmp_path / name for name in ("other", "altered", "unsigned"))
    for copy in (other, altered, unsigned):
        shutil.copytree(folder, copy)
    (other / "signature.json").write_text(json.dumps({**signed, "public_key": strange}))
    manifest = altered / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    (unsigned / "signature.json").unlink()
    good, by_another, with_another, of_another, without = answers(
        asking(folder, tmp_path / "scratch", key=key),
        asking(folder, tmp_path / "scratch", key=strange),
        asking(other, tmp_path / "scratch", key=strange),
        asking(altered, tmp_path / "scratch", key=key),
        asking(unsigned, tmp_path / "scratch", key=key),
    )
    assert "sha256" in good
    assert "another key" in by_another["problem"]
    assert "not of this manifest" in with_another["problem"]
    assert "not of this manifest" in of_another["problem"]
    assert "is not signed" in without["problem"]
