"""Manifests of calibration/: which pictures, how many, degraded how, with the hash of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from moceir_edge.data.dataset import Sample, Synthesis
from moceir_edge.data.degradations import degradation_of
from moceir_edge.data.folders import (
    CLEAN,
    INPUT,
    FolderSamples,
    Hashes,
    made_samples,
    noisy_samples,
    samples_from_set,
    task_name_of,
)
from moceir_edge.errors import DataError, InputError, RecipeError
from moceir_edge.recipe.yaml_file import YamlFile, read_yaml, validated
from moceir_edge.records import Record
from moceir_edge.terms import DENOISE, NOISE_SIGMA, TASK_NAMES, Task

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(Record):
    """One set of a manifest.

    set: its name, which starts with its task
    folder: relative to the manifest; of clean pictures, or of {input,target} for a set of pairs
    count: how many of the folder's listed pictures are taken, in the order of their hashes
    degrade: strength per degradation, for clean pictures; noise needs none
    seed: needed with `degrade`; each picture's own seed comes from it and the file's name
    """

    set: str
    folder: str
    count: Annotated[int, Field(ge=1)]
    degrade: Annotated[dict[Task, str], Field(default_factory=dict)]
    seed: Annotated[int, Field(ge=0)] | None = None

    @property
    def task_name(self) -> str:
        """The task of the set, or `denoise` for all three levels."""
        return task_name_of(self.set) or ""

    @property
    def is_noise(self) -> bool:
        """Whether the set is one of noise, at one level or all three."""
        return self.task_name == DENOISE or self.task_name in NOISE_SIGMA

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if not self.task_name:
            raise ValueError(f"set '{self.set}' starts with no task: use one of {', '.join(TASK_NAMES)}")
        for task, strength in self.degrade.items():
            _check_strength(task, strength)
        if self.is_noise and (self.degrade or self.seed is not None):
            raise ValueError("noise follows from the name of the set and of the file: remove degrade and seed")
        if self.degrade and self.task_name not in self.degrade:
            raise ValueError(f"degrade does not contain {self.task_name}, the task of set '{self.set}'")
        if bool(self.degrade) != (self.seed is not None):
            raise ValueError("degrade and seed go together")
        return self


class Manifest(Record):
    """The content of a manifest; `pictures` gives the sha256 of every file by its path from the manifest."""

    about: str
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    pictures: Annotated[dict[str, Sha256], Field(min_length=1)]


def samples_from_manifest(path: Path, hashes: Hashes) -> FolderSamples:
    """The samples of a manifest, after every listed file was found unchanged."""
    file, manifest = _read(path)
    _verify_hashes(file, manifest, hashes)
    return FolderSamples(tuple(_samples(file, manifest, hashes)))


def picture_seed(seed: int, file_name: str) -> int:
    """First 8 bytes, little endian, of sha256("<seed>:<file name>")."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{file_name}".encode()).digest()[:8], "little")


def _check_strength(task: Task, strength: str) -> None:
    if task in NOISE_SIGMA:
        raise ValueError(f"{task} in degrade: noise is a set of its own")
    try:
        degradation_of(task, strength)
    except InputError as error:
        raise ValueError(str(error)) from error


def _read(path: Path) -> tuple[YamlFile, Manifest]:
    try:
        file = read_yaml(path)
        return file, validated(file, Manifest)
    except RecipeError as error:
        raise DataError(error.what, error.remedy) from error


def _verify_hashes(file: YamlFile, manifest: Manifest, hashes: Hashes) -> None:
    for name, expected in manifest.pictures.items():
        found = hashes.of(file.path.parent / name)
        if found != expected:
            raise DataError(
                file.problem(("pictures", name), f"sha256 is {found[:12]}..., not {expected[:12]}..."),
                "restore the picture, or write its new hash into the manifest",
            )


def _samples(file: YamlFile, manifest: Manifest, hashes: Hashes) -> Iterator[Sample]:
    listed = {file.path.parent / name for name in manifest.pictures}
    for index, source in enumerate(manifest.sources):
        try:
            yield from _counted(source, file.path.parent / source.folder, listed=listed, hashes=hashes)
        except ValueError as error:
            raise DataError(file.problem(("sources", index), str(error)), "correct the manifest") from error


def _counted(source: Source, folder: Path, *, listed: set[Path], hashes: Hashes) -> list[Sample]:
    """The samples of the first `count` listed pictures, by hash; ValueError where there are not enough."""
    if not folder.is_dir():
        raise ValueError(f"folder: {source.folder} is no folder")
    found = _of_source(source, folder, hashes)
    if not found.samples and found.skipped:
        raise ValueError(f"set '{source.set}': {found.skipped[0].reason}")
    usable = [s for s in found.samples if {s.input_path, s.target_path or s.input_path} <= listed]
    inputs = sorted({sample.input_path for sample in usable}, key=lambda path: (hashes.of(path), path))
    if len(inputs) < source.count:
        raise ValueError(f"count: {source.count} is more than the {len(inputs)} listed pictures of {source.folder}")
    taken = frozenset(inputs[: source.count])
    return [sample for sample in usable if sample.input_path in taken]


def _of_source(source: Source, folder: Path, hashes: Hashes) -> FolderSamples:
    if source.degrade:

        def synthesis(path: Path) -> Synthesis:
            return Synthesis(tuple(sorted(source.degrade.items())), picture_seed(source.seed or 0, path.name))

        return made_samples(folder, Task(source.task_name), source.set, hashes, synthesis)
    if source.is_noise and not any((folder / part).is_dir() for part in (INPUT, CLEAN)):
        return noisy_samples(folder, source.set, hashes)
    return samples_from_set(folder, source.set, hashes)
