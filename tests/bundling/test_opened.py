"""Unpacking what nobody has looked at yet: whatever is wrong in it, nothing is written."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moceir_edge.bundling.opened import open_bundle
from moceir_edge.errors import ArtifactError
from tests.bundling.bundles import Members, ended_after, members_of, repacked, with_manifest
from tests.devices.scripts import runner_script

Changed = list[tuple[tarfile.TarInfo, bytes]]


def listed(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_bundle_comes_out_as_it_went_in(made_bundle: Path, tmp_path: Path) -> None:
    """Every file, and run.sh can be run."""
    manifest = open_bundle(made_bundle, tmp_path)
    members: Members = members_of(made_bundle)
    for name, (_, data) in members.items():
        assert (tmp_path / manifest.name / name).read_bytes() == data
    assert (tmp_path / manifest.name / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / manifest.name / "README.md").stat().st_mode & 0o777 == 0o644
    assert {path.name for path in tmp_path.iterdir()} == {manifest.name}
    with pytest.raises(ArtifactError, match="exists already"):
        open_bundle(made_bundle, tmp_path)


def added(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Changed], None]:
    """Adds a member of a name, in place of the top folder's where it begins with that."""

    def change(members: Changed) -> None:
        top = members[0][0].name.split("/")[0]
        member = tarfile.TarInfo(name.replace("TOP", top))
        member.type, member.linkname, member.size = kind, link, 0 if kind != tarfile.REGTYPE else 4
        members.insert(0, (member, b"evil"))

    return change


def doubled(members: Changed) -> None:
    """A file twice, as some programs take the first and others the last."""
    members.append(members[0])


def in_capitals(members: Changed) -> None:
    """A file twice where case does not count."""
    member = tarfile.TarInfo(members[0][0].name.replace("README", "Readme").replace("artifact", "ARTIFACT"))
    member.size = 4
    members.append((member, b"evil"))


def without(name: str) -> Callable[[Changed], None]:
    """Takes a file out."""

    def change(members: Changed) -> None:
        members[:] = [entry for entry in members if not entry[0].name.endswith(name)]

    return change


def flipped(name: str) -> Callable[[Changed], None]:
    """Changes the last byte of a file."""

    def change(members: Changed) -> None:
        members[:] = [
            (member, data[:-1] + bytes([data[-1] ^ 1]) if member.name.endswith(name) else data)
            for member, data in members
        ]

    return change


HOSTILE: dict[str, tuple[Callable[[Changed], None], str]] = {
    "absolute": (added("/etc/cron.d/evil"), "hostile path '/etc/cron.d/evil'"),
    "above": (added("TOP/../../evil"), "hostile path"),
    "above, first": (added("../evil"), "hostile path"),
    "a dot": (added("TOP/./evil"), "hostile path"),
    "a backslash": (added("TOP\\..\\evil"), "hostile path"),
    "a drive": (added("C:/evil"), "hostile path"),
    "hidden": (added("TOP/.bashrc"), "hostile path"),
    "no folder": (added("evil"), "hostile path"),
    "a control character": (added("TOP/a\x1b[2Jb"), "hostile path"),
    "symbolic link": (added("TOP/evil", tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
    "hard link": (added("TOP/evil", tarfile.LNKTYPE, "/etc/passwd"), "is a link"),
    "device": (added("TOP/evil", tarfile.CHRTYPE), "is no plain file"),
    "pipe": (added("TOP/evil", tarfile.FIFOTYPE), "is no plain file"),
    "folder": (added("TOP/evil", tarfile.DIRTYPE), "is no plain file"),
    "another top": (added("other/evil"), "holds two folders"),
    "not in the manifest": (added("TOP/evil"), "evil is not in its manifest"),
    "in the artifact": (added("TOP/artifact/evil.py"), "artifact/evil.py is not in its manifest"),
    "twice": (doubled, "twice"),
    "twice but for case": (in_capitals, "twice"),
    "missing": (without("/runner.pyz"), "runner.pyz is missing"),
    "without manifest": (without("/manifest.json"), "no bundle, it has no manifest.json"),
    "altered model": (flipped("/model.onnx"), "model.onnx was altered (its sha256 differs)"),
    "altered runner": (flipped("/runner.pyz"), "runner.pyz was altered (its sha256 differs)"),
    "altered golden": (flipped("/0.reference.npy"), "0.reference.npy was altered"),
    "damaged manifest": (flipped("/manifest.json"), "manifest.json: damaged"),
}


@pytest.mark.parametrize(("change", "says"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_bundles_write_nothing(
    change: Callable[[Changed], None], says: str, made_bundle: Path, tmp_path: Path
) -> None:
    """Neither inside the folder nor outside of it."""
    path = repacked(made_bundle, tmp_path / "hostile.tar.gz", change)
    with pytest.raises(ArtifactError) as refused:
        open_bundle(path, tmp_path / "deep" / "out")
    assert says in refused.value.what
    assert refused.value.remedy
    assert listed(tmp_path) <= {"hostile.tar.gz", "deep", "deep/out"}


MANIFESTS: dict[str, tuple[dict[str, object], str]] = {
    "newer": ({"schema_version": 2}, "schema 2 is newer than this runner's 1"),
    "no version": ({"schema_version": None}, "schema_version is None"),
    "no name": ({"name": 3}, "name is 3"),
    "another name": ({"name": "other"}, "its folder is"),
    "a path as name": ({"name": "../other"}, "its name is '../other'"),
    "no files": ({"files": []}, "files is []"),
    "a hostile file": ({"files": {"../evil": {"sha256": "", "size_bytes": 1}}}, "hostile path '../evil'"),
    "golden elsewhere": (
        {"golden": [{"name": "a", "task": "derain", "input": "/etc/passwd", "reference": "run.sh"}]},
        "golden input '/etc/passwd' is none of its files",
    ),
}


@pytest.mark.parametrize(("fields", "says"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifests_that_are_not_ours(fields: dict[str, object], says: str, made_bundle: Path, tmp_path: Path) -> None:
    """Newer ones, damaged ones, and those that name files elsewhere."""
    path = with_manifest(made_bundle, tmp_path / "other.tar.gz", **fields)
    with pytest.raises(ArtifactError) as refused:
        open_bundle(path, tmp_path / "out")
    assert says in refused.value.what
    assert listed(tmp_path) <= {"other.tar.gz", "out"}


def tar_of(path: Path, *parts: bytes) -> Path:
    """A gzipped tar of raw blocks."""
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for part in parts:
            stream.write(part)
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_headers_of_any_length_are_not_read(kind: bytes, tmp_path: Path) -> None:
    """One that announces 4 GiB is refused by its first 512 bytes, before any of it lies in memory."""
    member = tarfile.TarInfo("top/a")
    member.type, member.size = kind, 2**32
    path = tar_of(tmp_path / "bomb.tar.gz", member.tobuf(tarfile.USTAR_FORMAT))
    with pytest.raises(ArtifactError, match=r"bomb\.tar\.gz: has extended headers, and bundles hold none"):
        open_bundle(path, tmp_path / "out")


def test_files_without_end_are_not_listed(tmp_path: Path) -> None:
    """A small file may hold millions of empty ones."""
    heads = (tarfile.TarInfo(f"top/{number}").tobuf(tarfile.USTAR_FORMAT) for number in range(5000))
    path = tar_of(tmp_path / "many.tar.gz", *heads)
    with pytest.raises(ArtifactError, match="holds more than 4096 files"):
        open_bundle(path, tmp_path / "out")


def test_a_text_file_is_no_bundle(tmp_path: Path) -> None:
    """Nor is a file that is not there."""
    (tmp_path / "text.tar.gz").write_text("nothing of ours\n")
    for name, says in {"text": "cut short or damaged", "nowhere": "cannot be read: No such file"}.items():
        with pytest.raises(ArtifactError, match=says):
            open_bundle(tmp_path / f"{name}.tar.gz", tmp_path / "out")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_cut_or_flipped_byte_is_taken(data: st.DataObject, made_bundle: Path, tmp_path: Path) -> None:
    """Wherever the file is cut, or a bit is another: a Problem or, in what gzip ignores, the bundle as it was."""
    unpacking, problem = runner_script("unpacking"), runner_script("problem")
    whole = made_bundle.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    bent = whole[:place] if cut else whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
    path, out = tmp_path / "bent.tar.gz", Path(tempfile.mkdtemp(dir=tmp_path)) / "out"
    path.write_bytes(bent)
    found, refused = None, ""
    try:
        found = unpacking.unpack(path, out)
    except problem.Problem as error:
        refused = str(error)
    if found is None:
        assert "; " in refused
        assert not out.exists() or not any(out.iterdir())
    else:
        assert not cut or place > len(whole) - 16  # only the checksum at the end of the file is missing
        name = json.loads(members_of(made_bundle)["manifest.json"][1])["name"]
        assert found == out / name


def ended_in(part: str, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The runner, in which `unpacking.<part>` is what a program of one line says."""
    return ended_after(f"import os, signal, unpacking; unpacking.{part} = {program}", *words)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_connection_that_drops_leaves_nothing(name: str, made_bundle: Path, tmp_path: Path) -> None:
    """What was begun is taken away before the runner goes."""
    killed = f"lambda *_: os.kill(os.getpid(), signal.{name})"
    ended = ended_in("copied", killed, "unpack", made_bundle, tmp_path / "out")
    assert ended.returncode == 128 + getattr(signal, name)
    assert listed(tmp_path) == {"out"}


def test_a_full_disk_leaves_nothing(made_bundle: Path, tmp_path: Path) -> None:
    """Whether the system told before how much is free, or finds it out while it writes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("not here: only root mounts a small disk")
    try:
        with pytest.raises(ArtifactError, match=r"0\.1 MiB are free, and .* are needed"):
            open_bundle(made_bundle, disk)
        ended = ended_in("require_space", "lambda *_: None", "unpack", made_bundle, disk)
        assert ended.returncode == 2
        assert "cannot be written: No space left on device; free some space" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_in_the_way_is_said(made_bundle: Path, tmp_path: Path) -> None:
    """Where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="file/out: cannot be written: Not a directory"):
        open_bundle(made_bundle, tmp_path / "file" / "out")
