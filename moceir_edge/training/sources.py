"""From folders of training data to the samples of one pass, in the layouts of the published code and in ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.data.degradations import degradation_of
from moceir_edge.data.samples import read_data
from moceir_edge.errors import DataError
from moceir_edge.terms import NOISE_SIGMA, Task
from moceir_edge.training.pictures import is_training_picture
from moceir_edge.training.recipe import Layout, Source


@dataclass(frozen=True)
class TrainSample:
    """A pair of pictures, or one clean picture (`input` is `target`) with the strengths it may be degraded at."""

    tasks: tuple[Task, ...]
    input: Path
    target: Path
    strengths: tuple[str, ...] = ()


CDD11_TASKS = {"low": Task.LOWLIGHT, "haze": Task.DEHAZE, "rain": Task.DERAIN, "snow": Task.DESNOW}
"""Words that the names of CDD-11's folders are made of."""


_LAYOUT_TASKS: dict[Layout, frozenset[Task]] = {
    Layout.RESIDE: frozenset({Task.DEHAZE}),
    Layout.RAIN: frozenset({Task.DERAIN}),
    Layout.GOPRO: frozenset({Task.DEBLUR}),
    Layout.LOL: frozenset({Task.LOWLIGHT}),
    Layout.CDD11: frozenset(CDD11_TASKS.values()),
}
"""What the published layouts hold."""


def samples_of_all(sources: Iterable[Source], root: Path, *, tasks: Collection[Task] | None) -> list[TrainSample]:
    """The samples of all sources, or those of `tasks` alone: a source that has none of them need not be there.

    A mixture of degradations stays where all of them are among the tasks. DataError where nothing is left.
    """
    if tasks is None:
        return [sample for source in sources for sample in samples_of(source, root)]
    wanted = set(tasks)
    useful = [source for source in sources if _may_have(source, wanted)]
    samples = [s for source in useful for s in samples_of(source, root) if wanted.issuperset(s.tasks)]
    if not samples:
        raise DataError(f"no training picture for {', '.join(tasks) or 'no task'}", "add data for it, or other tasks")
    return samples


def _may_have(source: Source, wanted: set[Task]) -> bool:
    known = source.tasks or _LAYOUT_TASKS.get(source.layout)
    return known is None or not wanted.isdisjoint(known)


def samples_of(source: Source, root: Path) -> list[TrainSample]:
    """The samples of one pass, each as often as it repeats; DataError where there is none."""
    folder = root / source.folder
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", "name the folder of the training data with --data")
    found = list(_READERS[source.layout](folder, source))
    if not found:
        raise DataError(f"{folder}: no picture in the layout {source.layout}", "check the folder and its layout")
    return found * source.repeats


def _sets(folder: Path, source: Source) -> Iterator[TrainSample]:
    for sample in read_data(folder, tasks=source.tasks or None).samples:
        if sample.target_path is None:
            raise DataError(f"{sample.name} has no target to learn from", "put one into the set's folder target")
        strengths = ("standard",) if sample.input_path == sample.target_path else ()
        yield TrainSample((sample.task,), sample.input_path, sample.target_path, strengths)


def _clean(folder: Path, source: Source) -> Iterator[TrainSample]:
    for task in source.tasks:
        strengths = ("standard",) if task in NOISE_SIGMA else source.strengths[task]
        for strength in strengths:
            degradation_of(task, strength)
        for path in _pictures(folder, deep=True):
            yield TrainSample((task,), path, path, strengths)


def _reside(folder: Path, _: Source) -> Iterator[TrainSample]:
    """Hazy `part*/0025_0.8_0.1.jpg` belongs to `clear/0025.jpg`."""
    clear = {path.stem: path for path in _pictures(folder / "clear")}
    for part in sorted(folder.glob("part*")):
        for path in _pictures(part):
            yield TrainSample((Task.DEHAZE,), path, _partner(path, clear, path.stem.split("_", maxsplit=1)[0]))


def _rain(folder: Path, _: Source) -> Iterator[TrainSample]:
    """`rainy/rain-7.png` belongs to `gt/norain-7.png`."""
    clear = {path.stem.rpartition("-")[2]: path for path in _pictures(folder / "gt")}
    for path in _pictures(folder / "rainy"):
        yield TrainSample((Task.DERAIN,), path, _partner(path, clear, path.stem.rpartition("-")[2]))


def _named(inputs: str, targets: str, task: Task) -> Callable[[Path, Source], Iterator[TrainSample]]:
    """Two folders of equal names."""

    def read(folder: Path, _: Source) -> Iterator[TrainSample]:
        clear = {path.stem: path for path in _pictures(folder / targets)}
        for path in _pictures(folder / inputs):
            yield TrainSample((task,), path, _partner(path, clear, path.stem))

    return read


def _cdd11(folder: Path, _: Source) -> Iterator[TrainSample]:
    """`low_haze_rain/01.png` belongs to `clear/01.png`."""
    clear = {path.stem: path for path in _pictures(folder / "clear")}
    for kind in sorted(part for part in folder.iterdir() if part.is_dir() and part.name != "clear"):
        unknown = set(kind.name.split("_")) - CDD11_TASKS.keys()
        if unknown:
            raise DataError(f"{kind}: no degradation of CDD-11 is called '{min(unknown)}'", "remove or rename it")
        tasks = tuple(CDD11_TASKS[word] for word in kind.name.split("_"))
        for path in _pictures(kind):
            yield TrainSample(tasks, path, _partner(path, clear, path.stem))


def _pictures(folder: Path, *, deep: bool = False) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", "check the layout of the training data")
    return sorted(path for path in folder.glob("**/*" if deep else "*") if path.is_file() and is_training_picture(path))


def _partner(path: Path, clear: dict[str, Path], key: str) -> Path:
    if key not in clear:
        raise DataError(f"{path}: no clear picture '{key}' belongs to it", "complete or remove the pair")
    return clear[key]


_READERS: dict[Layout, Callable[[Path, Source], Iterator[TrainSample]]] = {
    Layout.SETS: _sets,
    Layout.CLEAN: _clean,
    Layout.RESIDE: _reside,
    Layout.RAIN: _rain,
    Layout.GOPRO: _named("input_crops", "target_crops", Task.DEBLUR),
    Layout.LOL: _named("input", "target", Task.LOWLIGHT),
    Layout.CDD11: _cdd11,
}
