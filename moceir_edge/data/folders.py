"""DATA folders: sets of {input,target} or of clean pictures, and their tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moceir_edge.data.dataset import Sample, Synthesis
from moceir_edge.data.images import PICTURE_SUFFIXES, is_picture
from moceir_edge.errors import DataError
from moceir_edge.records import Skipped, sha256_of_file
from moceir_edge.terms import DENOISE, NOISE_SIGMA, TASK_NAMES, Task

INPUT, TARGET, CLEAN = "input", "target", "clean"


@dataclass(frozen=True)
class Hashes:
    """Hashes of files, each computed once."""

    known: dict[Path, str] = field(default_factory=dict)

    def of(self, path: Path) -> str:
        """sha256 of a file; DataError if it cannot be read."""
        if path not in self.known:
            try:
                self.known[path] = sha256_of_file(path)
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror}", "check the file") from error
        return self.known[path]


@dataclass(frozen=True)
class FolderSamples:
    """The samples of one folder, and what in it was left out."""

    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()


def task_name_of(set_name: str) -> str | None:
    """The longest task name (or `denoise`) that a set's name starts with."""
    return max((name for name in TASK_NAMES if set_name.startswith(name)), key=len, default=None)


def _tasks_of(name: str) -> tuple[Task, ...]:
    return tuple(NOISE_SIGMA) if name == DENOISE else (Task(name),)


def is_set(folder: Path) -> bool:
    """Whether the folder is one set: a name of a task, and pictures in `input` or `clean`."""
    return task_name_of(folder.name) is not None and any((folder / part).is_dir() for part in (INPUT, CLEAN))


def samples_from_set(folder: Path, set_name: str, hashes: Hashes) -> FolderSamples:
    """The samples of one set; its task is read from `set_name`."""
    name = task_name_of(set_name)
    if name is None:
        return FolderSamples((), (Skipped(what=set_name, reason="its name starts with no task"),))
    tasks = _tasks_of(name)
    if tasks[0] in NOISE_SIGMA and (folder / CLEAN).is_dir():
        return noisy_samples(folder / CLEAN, set_name, hashes)
    if not (folder / INPUT).is_dir():
        needed = f"{INPUT} or {CLEAN}" if tasks[0] in NOISE_SIGMA else INPUT
        return FolderSamples((), (Skipped(what=set_name, reason=f"it has no folder {needed}"),))
    if len(tasks) > 1:
        reason = f"pairs need one noise level: name it {DENOISE}_15, {DENOISE}_25 or {DENOISE}_50"
        return FolderSamples((), (Skipped(what=set_name, reason=reason),))
    return paired_samples(folder, tasks[0], set_name, hashes)


def noisy_samples(folder: Path, set_name: str, hashes: Hashes) -> FolderSamples:
    """Every clean picture of `folder` at the noise levels that the set's name asks for."""
    name = task_name_of(set_name) or DENOISE
    rest = set_name.removeprefix(name)
    results = [made_samples(folder, task, f"{task}{rest}", hashes) for task in _tasks_of(name)]
    return FolderSamples(tuple(sample for result in results for sample in result.samples), results[0].skipped)


def made_samples(
    folder: Path,
    task: Task,
    set_name: str,
    hashes: Hashes,
    synthesis: Callable[[Path], Synthesis | None] = lambda _: None,
) -> FolderSamples:
    """Samples whose input is made from the clean pictures of `folder`."""
    pictures, skipped = pictures_in(folder, set_name)
    samples = (
        Sample(
            task=task,
            set_name=set_name,
            name=f"{set_name}/{stem}",
            input_path=path,
            target_path=path,
            input_digest=hashes.of(path),
            digest=hashes.of(path),
            synthesis=synthesis(path),
        )
        for stem, path in pictures.items()
    )
    return FolderSamples(tuple(samples), skipped)


def paired_samples(folder: Path, task: Task, set_name: str, hashes: Hashes) -> FolderSamples:
    """Samples of `folder`/input, with their targets of `folder`/target where there are any."""
    inputs, skipped = pictures_in(folder / INPUT, set_name)
    targets, _ = pictures_in(folder / TARGET, set_name) if (folder / TARGET).is_dir() else ({}, ())
    return FolderSamples(tuple(_paired(task, set_name, inputs, targets, hashes)), skipped)


def _paired(
    task: Task, set_name: str, inputs: dict[str, Path], targets: dict[str, Path], hashes: Hashes
) -> Iterator[Sample]:
    for stem, path in inputs.items():
        target = targets.get(stem, targets.get(stem.split("_", maxsplit=1)[0]))
        yield Sample(
            task=task,
            set_name=set_name,
            name=f"{set_name}/{stem}",
            input_path=path,
            target_path=target,
            input_digest=hashes.of(path),
            digest=hashes.of(target or path),
        )


def pictures_in(folder: Path, set_name: str) -> tuple[dict[str, Path], tuple[Skipped, ...]]:
    """The pictures of a folder by stem, sorted by name, and its other files; hidden ones are not counted."""
    pictures: dict[str, Path] = {}
    skipped = []
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not path.is_file() or not is_picture(path):
            if not path.name.startswith("."):
                reason = f"not a picture ({', '.join(PICTURE_SUFFIXES)})"
                skipped.append(Skipped(what=f"{set_name}/{folder.name}/{path.name}", reason=reason))
        elif path.stem in pictures:
            raise DataError(f"{path} and {pictures[path.stem].name} have the same stem", "rename or remove one of them")
        else:
            pictures[path.stem] = path
    return pictures, tuple(skipped)
