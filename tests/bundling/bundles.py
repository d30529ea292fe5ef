"""A bundle of a network that exports in seconds, unpacked, and the runner in it as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from moceir_edge.bundling.bundle import bundle
from moceir_edge.bundling.opened import open_bundle
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import resource
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import recipe, small_network

DEVICE = "x86_laptop"

Ended = subprocess.CompletedProcess[str]


def small_artifact(folder: Path, *, size: Any = "dynamic", target: str = "onnx", **fields: Any) -> Path:
    """An artifact with two golden pictures of the small network; its model lies beside it."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    model = LoadedModel(small_network(), "small")
    picture = sample("derain/0", noise(0, height=32, width=40))
    (folder / "artifact").mkdir(parents=True)
    given = recipe(target, size=size, **fields)
    write_artifact(Source(model, model, (Task.DERAIN,)), given, dataset(picture), folder / "artifact")
    save(model, folder / "model.safetensors")
    return folder / "artifact"


def small_bundle(folder: Path) -> Path:
    """A bundle of `small_artifact`."""
    path = folder / "small.tar.gz"
    bundle(small_artifact(folder), DEVICE, path)
    return path


def unpacked(path: Path, parent: Path) -> Path:
    """The folder of a bundle."""
    return parent / open_bundle(path, parent).name


def run(folder: Path, *words: str | Path, **environment: str) -> Ended:
    """run.sh of an unpacked bundle; nothing of the package is in sight."""
    return started([str(folder / "run.sh"), *map(str, words)], environment)


def run_with(python: str | Path, folder: Path, *words: str | Path) -> Ended:
    """The runner by another Python."""
    return started([str(python), "-I", str(folder / "runner.pyz"), *map(str, words)], {})


def ended_after(program: str, *words: str | Path) -> Ended:
    """The runner, after a program of one line that can change it."""
    lines = f"import sys; sys.path.insert(0, {str(resource('devices') / 'runner')!r})\n{program}"
    start = "from command import main\nsys.exit(main(sys.argv[1:]))"
    return started([sys.executable, "-I", "-B", "-c", f"{lines}\n{start}", *map(str, words)], {})


def started(command: list[str], environment: Mapping[str, str]) -> Ended:
    """A process without our PYTHONPATH."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    given = {**inherited, "MOCEIR_EDGE_PYTHON": sys.executable, **environment}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=given)


def assert_refused(ended: Ended, says: str, *, code: int = 2) -> None:
    """One line of error with what to do, no traceback."""
    assert ended.returncode == code, ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert says in ended.stderr
    assert "; " in ended.stderr


Members = dict[str, tuple[tarfile.TarInfo, bytes]]


def members_of(path: Path) -> Members:
    """Everything in a bundle, by its name below the top folder."""
    found: Members = {}
    with tarfile.open(path) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name.partition("/")[2]] = (member, stream.read())
    return found


def repacked(path: Path, out: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], object]) -> Path:
    """A bundle after `change` has worked on the list of its members."""
    members = list(members_of(path).values())
    change(members)
    with tarfile.open(out, "w:gz") as tar:
        for member, data in members:
            tar.addfile(member, BytesIO(data) if member.isreg() else None)
    return out


def with_manifest(path: Path, out: Path, **fields: Any) -> Path:
    """A bundle whose manifest says something else."""

    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        for index, (member, data) in enumerate(members):
            if member.name.endswith("/manifest.json"):
                text = json.dumps({**json.loads(data), **fields}).encode()
                member.size = len(text)
                members[index] = (member, text)

    return repacked(path, out, change)


def rewritten(folder: Path, **fields: Any) -> None:
    """Change the manifest of an unpacked bundle."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))


def altered(folder: Path, name: str, data: bytes) -> None:
    """Change a file of an unpacked bundle, and its hash with it."""
    (folder / name).write_bytes(data)
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    files[name] = {"sha256": sha256_of_file(folder / name), "size_bytes": len(data)}
    rewritten(folder, files=files)
