"""Bundles for devices that are not there: of a small artifact that runs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from moceir_edge.bundling.bundle import bundle
from moceir_edge.demonstration import MODEL
from moceir_edge.exporting import Source, write_artifact
from moceir_edge.network.checkpoint import load
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import recipe

QUICK = ("--seconds", "0.5", "--any-device")
"""Arguments of a profile that only has to be whole; a simulated computer is whatever this machine is."""


def tiny_artifact(folder: Path) -> Path:
    """The bundled trained model, all experts, at 64x64."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    model = load(MODEL)
    picture = sample("derain/0", noise(0, height=64, width=64))
    given = recipe("onnx", size=[64, 64], golden=1)
    write_artifact(Source(model, model, (Task.DERAIN,)), given, dataset(picture), folder)
    return folder


def small_bundle(artifact: Path, path: Path, *, device: str = "x86_laptop") -> Path:
    """For this machine, or a device profile by name or file."""
    bundle(artifact, device, path)
    return path


def write_keys(private: Path, public: Path) -> None:
    """A pair that signs bundles, as PEM files."""
    key, pem = ed25519.Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    clear = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, clear))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))


Members = dict[str, bytes]


def changed_bundle(source: Path, path: Path, change: Callable[[Members], None]) -> Path:
    """A bundle with other files (by their paths below its folder), whose manifest knows them."""
    with tarfile.open(source) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    top = next(iter(files)).partition("/")[0]
    members = {name.partition("/")[2]: data for name, data in files.items()}
    change(members)
    manifest = json.loads(members.pop("manifest.json"))
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)} for name, data in members.items()
    }
    members["manifest.json"] = json.dumps({**manifest, "files": entries}).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, data in sorted(members.items()):
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path
