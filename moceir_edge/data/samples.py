"""Read DATA: a folder of sets, one set, or a manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from moceir_edge.data.dataset import Dataset, Pair, Sample, require_targets
from moceir_edge.data.folders import INPUT, FolderSamples, Hashes, is_set, samples_from_set
from moceir_edge.data.manifest import samples_from_manifest
from moceir_edge.errors import DataError
from moceir_edge.terms import TASK_NAMES, Task

__all__ = ["Dataset", "Pair", "Sample", "read_data", "require_targets"]

LAYOUT = "give a folder of <set>/{input,target} or denoise/clean, or a manifest of calibration/"


def read_data(path: Path, *, tasks: tuple[Task, ...] | None = None) -> Dataset:
    """Read all samples of `path`, or those of `tasks`; DataError where a task has none."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", LAYOUT)
    found = _found(path)
    if not found.samples:
        raise DataError(f"{path}: no picture in it can be used{_reasons(found)}", LAYOUT)
    _refuse_doubled_names(path, found)
    dataset = Dataset(found.samples, found.skipped)
    if tasks is None:
        return dataset
    missing = [task for task in tasks if task not in dataset.tasks]
    if missing:
        raise DataError(
            f"{path}: no picture for {', '.join(missing)}",
            f"add a set whose name starts with it; there are pictures for {', '.join(dataset.tasks)}",
        )
    return dataset.of(tasks)


def _found(path: Path) -> FolderSamples:
    hashes = Hashes()
    if path.is_file():
        if path.suffix.lower() not in (".yaml", ".yml"):
            raise DataError(f"{path}: neither a folder nor a manifest", LAYOUT)
        return samples_from_manifest(path, hashes)
    folder = path.resolve()
    if is_set(folder):
        return samples_from_set(folder, folder.name, hashes)
    if (folder / INPUT).is_dir():
        raise DataError(
            f"{path}: a set whose name starts with no task", f"begin its name with one of {', '.join(TASK_NAMES)}"
        )
    return _joined([samples_from_set(part, part.name, hashes) for part in _folders(path)])


def _folders(path: Path) -> list[Path]:
    return sorted(part for part in path.iterdir() if part.is_dir() and not part.name.startswith("."))


def _joined(parts: list[FolderSamples]) -> FolderSamples:
    return FolderSamples(
        tuple(sample for part in parts for sample in part.samples),
        tuple(skipped for part in parts for skipped in part.skipped),
    )


def _reasons(found: FolderSamples) -> str:
    shown = [f"{skipped.what}: {skipped.reason}" for skipped in found.skipped[:3]]
    return f" ({'; '.join(shown)}{'; ...' if len(found.skipped) > len(shown) else ''})" if shown else ""


def _refuse_doubled_names(path: Path, found: FolderSamples) -> None:
    """`denoise_x` holds a set `denoise_15_x`, and there may be a folder of that name too."""
    counts = Counter(sample.name for sample in found.samples)
    name, count = counts.most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: {count} samples are called {name}", "rename one of their sets")
