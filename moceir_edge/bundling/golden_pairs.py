"""Golden pairs of a bundle: those of the artifact, or the user's own pictures; and how near a device has to come."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from pathlib import Path

import numpy as np

from moceir_edge.artifacts import Artifact, Golden
from moceir_edge.bundling.manifest import ARTIFACT_FOLDER, BundledGolden
from moceir_edge.data.images import is_picture, read_picture
from moceir_edge.errors import DataError, InputError
from moceir_edge.exporting import GOLDEN_SIZE
from moceir_edge.metrics import WORST_DB, psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.opening import by_itself
from moceir_edge.runner import Image, NetworkRunner, Runner, centre, pad, run_padded
from moceir_edge.targets.target import target_of

MARGIN_DB = 1.0
"""A device may stay so far below what the same file gives here in its own runtime: sums run in other orders there."""

STAND_IN_MARGIN_DB = 3.0
"""The same where another runtime, or an emulation, computed here in its place."""

STEP_DB = 0.5
"""Floors are rounded down to this, so that machines that differ in their last bits make the same bundle."""

HIGHEST_DB = 60.0
"""No floor is above this, the least parity of float32 between x86 and Arm (see `arm.check`)."""

MOST_PICTURES = 8
"""As many as a recipe may ask for."""


def artifact_pairs(artifact: Artifact) -> tuple[Golden, ...]:
    """The artifact's own pairs, by their paths in the bundle."""
    return tuple(
        golden.model_copy(
            update={
                "input": f"{ARTIFACT_FOLDER}/{golden.input}",
                "reference": f"{ARTIFACT_FOLDER}/{golden.reference}",
            }
        )
        for golden in artifact.golden
    )


def own_pairs(artifact: Artifact, pictures: Path, reference: Path, folder: Path) -> tuple[Golden, ...]:
    """Write pairs from the first pictures of a folder, by name, and what MODEL makes of their centres, below `folder`.

    DataError without pictures; InputError where the artifact was not made from MODEL.
    """
    paths = sorted(path for path in pictures.rglob("*") if path.is_file() and is_picture(path))[:MOST_PICTURES]
    if not paths:
        raise DataError(f"{pictures}: no pictures in this folder", "give a folder with PNG, JPEG, WebP or TIFF")
    model = load(reference)
    if model.sha256 not in (artifact.origin.checkpoint_sha256, artifact.origin.model_sha256):
        raise InputError(f"{reference} is not what the artifact was made from", "give the checkpoint of its export")
    runner, size = NetworkRunner(model.network), artifact.fixed_size or GOLDEN_SIZE
    (folder / "golden").mkdir()
    task = "+".join(artifact.tasks)
    found = zip(paths, names_of(paths, pictures), range(len(paths)), strict=True)
    return tuple(_written(*each, folder, runner=runner, size=size, task=task) for each in found)


def names_of(paths: Sequence[Path], pictures: Path) -> list[str]:
    """By which results tell pictures apart: their paths below the folder, with a suffix only where two need it."""
    whole = [path.relative_to(pictures) for path in paths]
    short = [path.with_suffix("").as_posix() for path in whole]
    return [path.as_posix() if short.count(name) > 1 else name for path, name in zip(whole, short, strict=True)]


def _written(
    path: Path, name: str, number: int, folder: Path, *, runner: Runner, size: tuple[int, int], task: str
) -> Golden:
    pixels = np.round(pad(centre(read_picture(path).pixels, size), size) * 255).astype(np.uint8)
    restored = runner.run(pixels.astype(np.float32) / np.float32(255)).restored
    names = (f"golden/{number}.input.npy", f"golden/{number}.reference.npy")
    np.save(folder / names[0], pixels[None])
    np.save(folder / names[1], restored[None])
    return Golden(name=name, task=task, input=names[0], reference=names[1])


def with_floors(pairs: Sequence[Golden], artifact: Artifact, folder: Path) -> tuple[tuple[BundledGolden, ...], str]:
    """Pairs with the least PSNR to the full model that a device has to reach, and where that comes from.

    folder: the unpacked bundle. Null where nothing here runs the artifact.
    """
    runner, margin, how = _runner(artifact, folder / ARTIFACT_FOLDER)
    floors = [None if runner is None else _floor(runner, pair, folder, margin) for pair in pairs]
    found = (BundledGolden(**pair.model_dump(), floor_db=known) for pair, known in zip(pairs, floors, strict=True))
    return tuple(found), how


def _runner(artifact: Artifact, path: Path) -> tuple[Runner | None, float, str]:
    """What runs the artifact here, how far a device may stay below it, and both in words."""
    target = target_of(artifact.target)
    runner = target.runner(artifact, path)
    if isinstance(runner, str):
        emulator = target.emulator(artifact, path)
        if emulator is None:
            return None, 0.0, f"no floor for accuracy: {runner}"
        said = f"floors: {STAND_IN_MARGIN_DB:g} dB below the emulation where the bundle was made"
        return by_itself(emulator, artifact), STAND_IN_MARGIN_DB, said
    stands_in = getattr(runner, "stands_in", "")
    if stands_in:
        said = f"floors: {STAND_IN_MARGIN_DB:g} dB below what another runtime gave where the bundle was made"
        return by_itself(runner, artifact), STAND_IN_MARGIN_DB, said
    alone = by_itself(runner, artifact)
    return alone, MARGIN_DB, f"floors: {MARGIN_DB:g} dB below what the same file gave where the bundle was made"


def _floor(runner: Runner, pair: Golden, folder: Path, margin_db: float) -> float | None:
    image: Image = np.load(folder / pair.input)[0].astype(np.float32) / np.float32(255)
    found = psnr_db(np.load(folder / pair.reference)[0], run_padded(runner, image).restored)
    if found == WORST_DB:
        raise DataError(f"the artifact gives NaN or infinity on {pair.name}", "export it again")
    return floor(min(found - margin_db, HIGHEST_DB) / STEP_DB) * STEP_DB
