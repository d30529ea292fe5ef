"""Bundles for the Android app, made by `bundle` of a small artifact, and changed as no `bundle` makes them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from moceir_edge.bundling.bundle import bundle
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import SIZE, recipe, small_network

PHONE = "pixel_8"


def small_artifact(folder: Path) -> Path:
    """In ORT format, with a guard and two golden pictures; `folder` exists."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(missing)
    model = LoadedModel(small_network(), "small")
    pictures = [sample(f"derain/{i}", noise(i, height=SIZE[0], width=SIZE[1])) for i in range(2)]
    given = recipe("onnx", onnx={"format": "ort", "providers": ["xnnpack", "cpu"]}, golden=2)
    write_artifact(Source(model, model, (Task.DERAIN,)), given, dataset(*pictures), folder)
    return folder


def phone_bundle(folder: Path, *, sign: Path | None = None) -> Path:
    """What `bundle` writes for a phone, in a folder that exists."""
    (folder / "artifact").mkdir()
    artifact = small_artifact(folder / "artifact")
    bundle(artifact, PHONE, folder / "bundle.tar.gz", sign=sign)
    return folder / "bundle.tar.gz"


def unpacked(path: Path, parent: Path, **changes: Any) -> Path:
    """A bundle's folder below `parent`; changes: fields of its manifest that become other ones."""
    with tarfile.open(path) as tar:
        tar.extractall(parent, filter="data")
        folder = parent / tar.getnames()[0].split("/")[0]
    manifest = folder / "manifest.json"
    if changes:
        manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), **changes}))
    return folder


def packed(
    folder: Path,
    path: Path,
    extra: Iterable[tuple[tarfile.TarInfo, bytes]] = (),
    *,
    form: int = tarfile.DEFAULT_FORMAT,
) -> Path:
    """A bundle's folder as a gzip tar, with entries that no bundle has behind it. form: one of `tarfile`."""
    with tarfile.open(path, "w:gz", format=form) as tar:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            tar.add(file, f"{folder.name}/{file.relative_to(folder).as_posix()}", filter=_plain)
        for entry, data in extra:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without a time of a part of a second, which would need a header of its own."""
    entry.mtime = 0
    return entry
