"""How well a MODEL or ARTIFACT restores a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.data.dataset import Sample, require_readable, require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.guarding import Verdict
from moceir_edge.metrics import SSIM_WINDOW, Interval, bootstrap, finite, mean_of_known, quality_db, ssim
from moceir_edge.opening import Opened, open_path
from moceir_edge.parity.fit import Fitted, fit
from moceir_edge.records import Record
from moceir_edge.runner import threads_of_share, torch_threads
from moceir_edge.sharing import over_processes
from moceir_edge.terms import Progress, Task, silent
from moceir_edge.watching import guarded, verdict_of


class SetScore(Record):
    """A task, or one of its sets: means over its n pictures, with a bootstrap interval of the PSNR.

    Pictures equal to their target have no PSNR and are left out of its means; None where all are.
    foreign: how many of them the artifact's guard takes for none of its tasks; None without a guard.
    """

    task: Task
    set_name: str | None
    n: int
    input_db: float | None
    quality_db: Interval | None
    worst_db: float | None
    ssim: float | None
    foreign: int | None = None


class Evaluation(Record):
    """How well something restores a data set.

    size: the (height, width) an artifact serves, whose centre alone is compared; None for whole pictures.
    """

    path: str
    sha256: str
    size: tuple[int, int] | None
    data_sha256: str
    sets: tuple[SetScore, ...]


def evaluate(
    path: Path,
    data: Path,
    *,
    tasks: Sequence[Task] = (),
    threads: int | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """PSNR and SSIM of a MODEL or ARTIFACT on every picture of a data set that has a target.

    threads: that compute; None leaves them to the runtime. The processes of torchrun or Slurm share the pictures, and
    each returns the whole result. say: is told of tasks whose pictures the artifact's guard takes for foreign.
    """
    threads = threads_of_share() if threads is None else threads
    with torch_threads(threads):
        return _evaluate(path, data, tasks, threads=threads, progress=progress, say=say)


def _evaluate(
    path: Path,
    data: Path,
    tasks: Sequence[Task],
    *,
    threads: int | None,
    progress: Progress,
    say: Callable[[str], None],
) -> Evaluation:
    dataset = read_data(data)
    dataset = dataset.of(tasks) if tasks else dataset
    require_targets(dataset)
    require_readable(dataset, progress=progress)
    opened = guarded(open_path(path, threads=threads))

    def score(sample: Sample) -> _Score:
        return _score(fit(sample, opened.runner.size), opened)

    scores = over_processes(score, dataset.samples, "evaluating", progress=progress)
    sets = []
    for task in dataset.tasks:
        of_task = [score for score in scores if score.sample.task is task]
        names = list(dict.fromkeys(score.sample.set_name for score in of_task))
        sets.append(_set_score(task, None, of_task))
        _warn(opened, task, [score.verdict for score in of_task if score.verdict is not None], say)
        several = names if len(names) > 1 else ()
        sets.extend(_set_score(task, name, [s for s in of_task if s.sample.set_name == name]) for name in several)
    return Evaluation(
        path=str(path), sha256=opened.sha256, size=opened.runner.size, data_sha256=dataset.sha256, sets=tuple(sets)
    )


@dataclass(frozen=True)
class _Score:
    sample: Sample
    input_db: float | None
    quality_db: float | None
    ssim: float | None
    verdict: Verdict | None


def _score(fitted: Fitted, opened: Opened) -> _Score:
    restored = fitted.inside(opened.runner.run(fitted.image).restored)
    assert fitted.target is not None
    return _Score(
        fitted.sample,
        finite(quality_db(fitted.target, fitted.source)),
        finite(quality_db(fitted.target, restored)),
        ssim(fitted.target, restored) if min(fitted.target.shape[1:]) >= SSIM_WINDOW else None,
        verdict_of(opened),
    )


def _warn(opened: Opened, task: Task, verdicts: Sequence[Verdict], say: Callable[[str], None]) -> None:
    """Of a task whose pictures are foreign: of one of the model's own only where most are."""
    foreign = [found for found in verdicts if found.foreign]
    if not foreign or (task in opened.tasks and 2 * len(foreign) <= len(verdicts)):
        return
    farthest = max(foreign, key=lambda found: float("inf") if found.distance is None else found.distance)
    say(
        f"warning: {len(foreign)} of {len(verdicts)} pictures of {task} look like none of {', '.join(opened.tasks)}, "
        f"which this model is for: {farthest.text} in the farthest"
    )


def _set_score(task: Task, set_name: str | None, scores: Sequence[_Score]) -> SetScore:
    qualities = [score.quality_db for score in scores if score.quality_db is not None]
    verdicts = [score.verdict for score in scores if score.verdict is not None]
    return SetScore(
        task=task,
        set_name=set_name,
        n=len(scores),
        input_db=mean_of_known(score.input_db for score in scores),
        quality_db=bootstrap(qualities) if qualities else None,
        worst_db=min(qualities, default=None),
        ssim=mean_of_known(score.ssim for score in scores),
        foreign=sum(found.foreign for found in verdicts) if verdicts else None,
    )
