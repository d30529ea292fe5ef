"""What each variant costs in dB: against the full network, against its own kept experts, and against targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from moceir_edge.benchmarking.variants import Variant
from moceir_edge.data.dataset import Dataset
from moceir_edge.metrics import finite, mean_of_known, psnr_db, quality_db
from moceir_edge.parity.fit import fit
from moceir_edge.records import Record
from moceir_edge.runner import Image, NetworkRunner, Runner
from moceir_edge.terms import Progress, Task, silent

Name = TypeVar("Name", bound=str)


class Parity(Record):
    """PSNR in dB between outputs, not clipped, on one picture; None for equal ones.

    eager_db: against the full network, which may choose other experts; kept_db: against PyTorch in float32 with the
    same kept experts, so what arithmetic alone costs.
    """

    eager_db: float | None
    kept_db: float | None


class JudgedPicture(Record):
    """PSNR of a judging picture; the quality of equal pictures is None."""

    name: str
    task: Task
    input_db: float | None
    quality_db: float | None


class Quality(Record):
    """PSNR against targets on a few judging pictures: the mean over them, and each."""

    mean_db: float | None
    pictures: tuple[JudgedPicture, ...]


def measure_parity(
    runners: Mapping[Variant, Runner],
    image: Image,
    *,
    full: NetworkRunner,
    kept: NetworkRunner,
    others: Mapping[Variant, NetworkRunner],
) -> dict[Variant, Parity]:
    """Run everything once on a picture. others: the networks of variants that are not made of the kept one."""
    of_full, of_kept = full.run(image).restored, kept.run(image).restored
    of_others = {variant: other.run(image).restored for variant, other in others.items()}
    found = {}
    for variant, runner in runners.items():
        restored = runner.run(image).restored
        own = of_others.get(variant, of_kept)
        found[variant] = Parity(eager_db=finite(psnr_db(of_full, restored)), kept_db=finite(psnr_db(own, restored)))
    return found


def measure_quality(
    runners: Mapping[Name, Runner],
    pictures: Dataset,
    size: tuple[int, int],
    *,
    label: str = "judging",
    progress: Progress = silent,
) -> dict[Name, Quality]:
    """PSNR of everything that runs, on the centre of each picture."""
    rows: dict[Name, list[JudgedPicture]] = {name: [] for name in runners}
    for sample in progress(pictures.samples, label):
        fitted = fit(sample, size)
        target = fitted.target
        assert target is not None
        before = finite(quality_db(target, fitted.source))
        for name, runner in runners.items():
            after = finite(quality_db(target, fitted.inside(runner.run(fitted.image).restored)))
            rows[name].append(JudgedPicture(name=sample.name, task=sample.task, input_db=before, quality_db=after))
    return {
        name: Quality(mean_db=mean_of_known(picture.quality_db for picture in found), pictures=tuple(found))
        for name, found in rows.items()
    }
