"""Rows: what each step of the way to an artifact does to the pictures, one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.images import quantized
from moceir_edge.guarding import GuardRule, verdict
from moceir_edge.metrics import (
    SSIM_WINDOW,
    Interval,
    bootstrap,
    finite,
    mean_of_known,
    psnr_db,
    quality_db,
    residual_snr_db,
    ssim,
)
from moceir_edge.network.architecture import DecoderBlockShape
from moceir_edge.parity.fit import Fitted, Size, fit
from moceir_edge.records import Record
from moceir_edge.runner import Image, Outputs, Runner
from moceir_edge.terms import Progress, Task, silent

REFERENCE = "full"
"""The step every other one is compared to."""

NEAR = 0.1
"""Share of the guard's limit by which a distance may move: a picture on the limit may then fall on either side of it.
Int8 moved distances of 84 real pictures by 3 % of it in the mean."""

OnPicture = Callable[[Fitted, Mapping[str, Outputs]], None]
"""Gets a picture and what every step made of it."""


@dataclass(frozen=True)
class Step:
    """A row to be measured: how it is run, in words, and by what.

    in_8_bits: it gives pictures of 8 bits, so the step it is compared to is clipped and rounded alike.
    against: the step it is compared to, the one before where it is None or not there.
    executed_by: the runtime of an artifact, None where something stands in for it.
    """

    name: str
    how: str
    runner: Runner
    in_8_bits: bool = False
    against: str | None = None
    executed_by: str | None = None


class PictureScore(Record):
    """One picture of a row. dB; None for equal pictures, and for quality without a target.

    parity_db, residual_snr_db: against the reference; step_parity_db, step_snr_db: against the step
    before, or `Step.against`.
    agreement: of the routers; same_routes: share of layers that compute, and agree, as in the step before;
    same_verdict: whether the guard says what it said of that step, or its distance is the same but for `NEAR`.
    """

    name: str
    task: Task
    set_name: str
    input_db: float | None
    quality_db: float | None
    ssim: float | None
    parity_db: float | None
    residual_snr_db: float | None
    step_parity_db: float | None
    step_snr_db: float | None
    agreement: float | None
    same_routes: float | None
    same_verdict: bool | None = None


class Row(Record):
    """One step on all pictures."""

    step: str
    how: str
    pictures: tuple[PictureScore, ...]


class TaskSummary(Record):
    """A row on one task (or one of its sets), against the reference row. Means over pictures; loss is paired.

    worst_*: of the worst picture; None where every picture is equal.
    """

    step: str
    task: Task
    set_name: str | None
    n: int
    input_db: float | None
    reference_db: float | None
    quality_db: float | None
    ssim: float | None
    loss_db: Interval | None
    worst_loss_db: float | None
    worst_parity_db: float | None
    worst_residual_snr_db: float | None
    agreement: float | None


def compare(
    steps: Sequence[Step],
    dataset: Dataset,
    reference: Callable[[Sample], Image],
    *,
    size: Size | None,
    blocks: Sequence[DecoderBlockShape] = (),
    rule: GuardRule | None = None,
    progress: Progress = silent,
    on_picture: OnPicture | None = None,
) -> tuple[Row, ...]:
    """Run every step on every sample; the first row is the recorded reference itself.

    reference: gives the recorded output (3, H, W) of the padded size. blocks: the routed layers of what is compared;
    rule: its guard.
    """
    scores: dict[str, list[PictureScore]] = {REFERENCE: [], **{step.name: [] for step in steps}}
    for sample in progress(dataset.samples, "comparing"):
        fitted = fit(sample, size)
        before = Outputs(reference(sample))
        made = {REFERENCE: before}
        recorded = fitted.inside(before.restored)
        scores[REFERENCE].append(_score(fitted, recorded, before, before, blocks=blocks, rule=rule))
        for step in steps:
            outputs = step.runner.run(fitted.image)
            before = made.get(step.against or "", before)
            before = _in_8_bits(before) if step.in_8_bits else before
            scores[step.name].append(_score(fitted, recorded, before, outputs, blocks=blocks, rule=rule))
            made[step.name] = before = outputs
        if on_picture is not None:
            on_picture(fitted, made)
    how = {REFERENCE: "the full model in PyTorch, float32, no routing noise", **{s.name: s.how for s in steps}}
    return tuple(Row(step=name, how=how[name], pictures=tuple(rows)) for name, rows in scores.items())


def _score(
    fitted: Fitted,
    reference: Image,
    before: Outputs,
    outputs: Outputs,
    *,
    blocks: Sequence[DecoderBlockShape],
    rule: GuardRule | None,
) -> PictureScore:
    restored, previous = fitted.inside(outputs.restored), fitted.inside(before.restored)
    source, target, sample = fitted.source, fitted.target, fitted.sample
    return PictureScore(
        name=sample.name,
        task=sample.task,
        set_name=sample.set_name,
        input_db=None if target is None else finite(quality_db(target, source)),
        quality_db=None if target is None else finite(quality_db(target, restored)),
        ssim=None if target is None or min(target.shape[1:]) < SSIM_WINDOW else ssim(target, restored),
        parity_db=finite(psnr_db(reference, restored)),
        residual_snr_db=finite(residual_snr_db(source, reference, restored)),
        step_parity_db=finite(psnr_db(previous, restored)),
        step_snr_db=finite(residual_snr_db(source, previous, restored)),
        agreement=None if outputs.agreement is None else float(np.nan_to_num(outputs.agreement)),
        same_routes=_same_routes(before, outputs, blocks),
        same_verdict=_same_verdict(before, outputs, rule),
    )


def _in_8_bits(outputs: Outputs) -> Outputs:
    return replace(outputs, restored=quantized(outputs.restored, bits=8).astype(np.float32) / np.float32(255))


def _same_routes(before: Outputs, outputs: Outputs, blocks: Sequence[DecoderBlockShape]) -> float | None:
    if before.scores is None or outputs.scores is None or not blocks:
        return None
    pairs = zip(blocks, before.scores, outputs.scores, strict=True)
    return float(np.mean([_decision(block, old) == _decision(block, new) for block, old, new in pairs]))


def _same_verdict(before: Outputs, outputs: Outputs, rule: GuardRule | None) -> bool | None:
    if rule is None or before.scores is None or outputs.scores is None:
        return None
    old, new = verdict(rule, [before.scores]), verdict(rule, [outputs.scores])
    if old.distance is None or new.distance is None:
        return old.distance == new.distance
    return old.foreign is new.foreign or abs(old.distance - new.distance) <= NEAR * rule.threshold


def _decision(block: DecoderBlockShape, scores: Image) -> tuple[int | None, bool]:
    """What a layer computes (an expert with weights, else the shortcut), and whether it agrees."""
    chosen = max(block.served, key=lambda index: float(scores[index]))
    return chosen if chosen in block.kept else None, int(scores.argmax()) in block.served


def summarize(rows: Sequence[Row]) -> tuple[TaskSummary, ...]:
    """Every row by task, then by each of its sets where a task has several."""
    reference = {score.name: score for score in rows[0].pictures}
    summaries = []
    for row in rows:
        for task in dict.fromkeys(score.task for score in row.pictures):
            of_task = [score for score in row.pictures if score.task is task]
            summaries.append(_summary(row.step, of_task, reference, None))
            sets = list(dict.fromkeys(score.set_name for score in of_task))
            several = sets if len(sets) > 1 else ()
            parts = {name: [score for score in of_task if score.set_name == name] for name in several}
            summaries.extend(_summary(row.step, part, reference, name) for name, part in parts.items())
    return tuple(summaries)


def losses_db(scores: Sequence[PictureScore], reference: Mapping[str, PictureScore]) -> list[float]:
    """Reference minus candidate PSNR of each picture that has a target."""
    pairs = [(reference[score.name].quality_db, score.quality_db) for score in scores]
    return [known - value for known, value in pairs if known is not None and value is not None]


def _summary(
    step: str, scores: Sequence[PictureScore], reference: Mapping[str, PictureScore], set_name: str | None
) -> TaskSummary:
    losses = losses_db(scores, reference)
    return TaskSummary(
        step=step,
        task=scores[0].task,
        set_name=set_name,
        n=len(scores),
        input_db=mean_of_known([score.input_db for score in scores]),
        reference_db=mean_of_known([reference[score.name].quality_db for score in scores]),
        quality_db=mean_of_known([score.quality_db for score in scores]),
        ssim=mean_of_known([score.ssim for score in scores]),
        loss_db=bootstrap(losses) if losses else None,
        worst_loss_db=max(losses, default=None),
        worst_parity_db=worst([score.parity_db for score in scores]),
        worst_residual_snr_db=worst([score.residual_snr_db for score in scores]),
        agreement=mean_of_known([score.agreement for score in scores]),
    )


def worst(values: Sequence[float | None]) -> float | None:
    """The lowest; None where all pictures are equal."""
    return min((value for value in values if value is not None), default=None)
