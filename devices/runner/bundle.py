"""What a bundle says of itself in manifest.json, and whether every file of it is there as it was."""

from __future__ import annotations

import hashlib
import json
import stat

from manifest import AGAIN, MANIFEST, parsed_manifest
from problem import Problem

LARGEST_NOTE = 2**24
"""Bytes that manifest.json and signature.json may have: they are read into memory."""


def read_manifest(folder):
    """What manifest.json in a folder says."""
    return parsed_manifest(manifest_bytes(folder), folder / MANIFEST)


def manifest_bytes(folder):
    """manifest.json as it is: what is signed, and what stands for the whole bundle."""
    try:
        return note_bytes(folder / MANIFEST)
    except OSError as error:
        text = "{}: no bundle is here ({}); start the runner that lies in an unpacked bundle"
        raise Problem(text.format(folder, error.strerror)) from error


def note_bytes(path, most=LARGEST_NOTE):
    """A small file whole; Problem for one that goes on and on, before it fills the memory."""
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise Problem("{}: longer than {} bytes, so it is not what it should be; check the path".format(path, most))
    return data


def bundle_sha256(folder):
    """Hash of the manifest, which names the hash of everything else."""
    return hashlib.sha256(manifest_bytes(folder)).hexdigest()


def require_whole(folder, manifest):
    """Problem where a file is missing, cut short, altered or no plain file, or the artifact has one too many."""
    for name, entry in manifest["files"].items():
        require_file(folder, name, entry)
    for path in sorted((folder / "artifact").rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in manifest["files"] and not path.is_dir():
            raise Problem("{}: no file of this bundle; remove it".format(folder / name))


def require_file(folder, name, entry):
    """A file as the manifest says, reached by folders and not by links."""
    path = folder
    for part in name.split("/"):
        path /= part
        if path.is_symlink():
            raise Problem("{}: a link, and bundles hold none; {}".format(path, AGAIN))
    try:
        facts = path.stat()
    except OSError as error:
        raise Problem("{}: missing ({}); {}".format(path, error.strerror, AGAIN)) from error
    if not stat.S_ISREG(facts.st_mode):
        raise Problem("{}: no plain file; {}".format(path, AGAIN))
    if facts.st_size < entry["size_bytes"]:
        raise Problem("{}: cut short ({} of {} bytes); {}".format(path, facts.st_size, entry["size_bytes"], AGAIN))
    if sha256_of(path) != entry["sha256"]:
        raise Problem("{}: was altered (its sha256 differs); {}".format(path, AGAIN))


def sha256_of(path):
    """Hash of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(2**20), b""):
            digest.update(piece)
    return digest.hexdigest()


def read_artifact(folder):
    """What artifact.json says; the manifest's hash has been compared before."""
    try:
        artifact = json.loads((folder / "artifact" / "artifact.json").read_text(encoding="utf-8"))
        shape = artifact["interface"]["inputs"][0]["shape"]
        artifact["size"] = tuple(shape[2:]) if all(isinstance(side, int) for side in shape[2:]) else None
        artifact["path"] = folder / "artifact" / artifact["model"]
        artifact["steers"] = "gates" in inputs_of(artifact) and any(
            tensor["name"] == "chosen" for tensor in artifact["interface"]["outputs"]
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise Problem("{}: no whole artifact ({!r}); make the bundle again".format(folder, error)) from error
    return artifact


def inputs_of(artifact):
    """Shapes of the model's inputs by name."""
    return {tensor["name"]: tensor["shape"] for tensor in artifact["interface"]["inputs"]}


def feeds_of(artifact, image, gates):
    """(1, 3, H, W) image, and (1, L, E) gates where the model takes them: 0 leaves the route to its routers."""
    import numpy as np

    feeds = {"image": np.ascontiguousarray(image[None], np.float32)}
    shape = inputs_of(artifact).get("gates")
    if shape is not None:
        feeds["gates"] = np.zeros(shape, np.float32) if gates is None else np.ascontiguousarray(gates[None], np.float32)
    return feeds
