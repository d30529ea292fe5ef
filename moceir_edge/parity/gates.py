"""Gates: measured rows against limits. A quality gate counts only where the reference itself beats the input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from moceir_edge.artifacts import GateResult
from moceir_edge.parity.compare import PictureScore, Row, losses_db, worst
from moceir_edge.recipe.schema import Limits
from moceir_edge.terms import GateMode, GateState, Precision

EQUAL_DB = 200.0
"""Stands for the infinite PSNR of equal pictures in a gate's value."""

STATIC_PARITY_DB = 80.0
SLIM_LOSS_DB = 0.05
DECISIONS_KEPT = 0.99
STEP_PARITY_DB = {Precision.FLOAT32: 80.0, Precision.FLOAT16: 50.0}
STRESS_PARITY_DB = 20.0
"""Float16 on black, white, an edge and noise: what overflows or divides by 0 falls far below, a near tie of routes does
not; what photographs lose is judged on photographs."""

# bfloat16 keeps 8 significant bits, fp8 keeps 4 of what a plan gives it: they are judged as int8 is.
_ROUGH = (Precision.BFLOAT16, Precision.INT8, Precision.FP8)
SAME_ROUTES = {Precision.FLOAT32: 1.0, Precision.FLOAT16: 1.0, **dict.fromkeys(_ROUGH, 0.99)}
STEP_SNR_DB = {Precision.FLOAT16: 30.0, **dict.fromkeys(_ROUGH, 20.0)}
LOSS_DB = {Precision.FLOAT32: 0.05, Precision.FLOAT16: 0.05, **dict.fromkeys(_ROUGH, 0.10)}
WORST_LOSS_DB = dict.fromkeys(_ROUGH, 0.5)
INTEGER_SHARE = 0.60


class InForce(NamedTuple):
    """Limits of an artifact: the recipe's where it moves them, or those of the precision; None where there is none."""

    parity_db: float | None
    residual_snr_db: float | None
    mean_loss_db: float
    worst_loss_db: float | None


def in_force(precision: Precision, limits: Limits) -> InForce:
    """Of a precision and a recipe's limits."""
    return InForce(
        limits.parity_db.value if limits.parity_db else STEP_PARITY_DB.get(precision),
        limits.residual_snr_db.value if limits.residual_snr_db else STEP_SNR_DB.get(precision),
        limits.quality_loss_db.value if limits.quality_loss_db else LOSS_DB[precision],
        limits.worst_loss_db.value if limits.worst_loss_db else WORST_LOSS_DB.get(precision),
    )


def slim_gates(rows: Sequence[Row], *, gate: GateMode, refusing: int) -> tuple[GateResult, ...]:
    """The slim model on its own tasks: decisions kept (exact gate, worst task), mean PSNR loss.

    refusing: how many routed layers serve less than all routes; where none does, every decision is kept by nature.
    """
    row = _row(rows, "slim")
    results = list(quality_gates(rows, "slim", limit=SLIM_LOSS_DB))
    if gate is GateMode.EXACT:
        kept: dict[str, list[float]] = defaultdict(list)
        for score in row.pictures:
            if score.agreement is not None:
                kept[score.task].append(score.agreement)
        value = min(map(fmean, kept.values()), default=None)
        reason = "" if refusing else "no layer refuses a route: its shortcut serves them all, which measured dB decided"
        name = "layer decisions kept, worst task"
        results.insert(0, judged("slim", name, value, DECISIONS_KEPT, at_least=True, reason=reason))
    return tuple(results)


def static_gates(rows: Sequence[Row]) -> tuple[GateResult, ...]:
    """The rewriting for export, against the same routing in PyTorch."""
    value = _step_parity(_row(rows, "static"))
    return (judged("static", "parity, worst picture", value, STATIC_PARITY_DB, unit="dB", at_least=True),)


def precision_gates(rows: Sequence[Row], step: str, precision: Precision, limits: Limits) -> tuple[GateResult, ...]:
    """A step in the recipe's precision: against the float32 of the same routing, and its whole PSNR loss."""
    row, results = _row(rows, step), []
    parity, snr, mean, highest = in_force(precision, limits)
    if parity is not None:
        value = _step_parity(row)
        reason = limits.parity_db.reason if limits.parity_db else ""
        results.append(judged(step, "parity, worst picture", value, parity, unit="dB", at_least=True, reason=reason))
    if snr is not None:
        value = _or_equal(worst([score.step_snr_db for score in row.pictures]))
        reason = limits.residual_snr_db.reason if limits.residual_snr_db else ""
        results.append(judged(step, "residual SNR, worst picture", value, snr, unit="dB", at_least=True, reason=reason))
    routes = [score.same_routes for score in row.pictures if score.same_routes is not None]
    if routes:
        results.append(judged(step, "same routes", fmean(routes), SAME_ROUTES[precision], at_least=True))
    verdicts = [score.same_verdict for score in row.pictures if score.same_verdict is not None]
    if verdicts:
        results.append(judged(step, "same guard verdicts", fmean(verdicts), SAME_ROUTES[precision], at_least=True))
    moved = [limit.reason for limit in (limits.quality_loss_db, limits.worst_loss_db) if limit and limit.reason]
    return (*results, *quality_gates(rows, step, limit=mean, worst_limit=highest, reason="; ".join(moved)))


def quality_gates(
    rows: Sequence[Row], step: str, *, limit: float, worst_limit: float | None = None, reason: str = ""
) -> tuple[GateResult, ...]:
    """Mean (and worst) PSNR loss for each task; not run where the reference does not beat its input."""
    reference = {score.name: score for score in rows[0].pictures}
    row, results = _row(rows, step), []
    for task in dict.fromkeys(score.task for score in row.pictures):
        scores = [score for score in row.pictures if score.task is task]
        losses = losses_db(scores, reference)
        idle = _no_better_than_input([reference[score.name] for score in scores])
        why = idle or ("" if losses else "no picture has a target") or reason
        counts = not idle and bool(losses)
        value = fmean(losses) if counts else None
        results.append(judged(step, f"PSNR loss, {task}, mean", value, limit, unit="dB", at_least=False, reason=why))
        if worst_limit is not None:
            value = max(losses) if counts else None
            name = f"PSNR loss, {task}, worst picture"
            results.append(judged(step, name, value, worst_limit, unit="dB", at_least=False, reason=why))
    return tuple(results)


def _no_better_than_input(reference: Sequence[PictureScore]) -> str:
    known = [(s.input_db, s.quality_db) for s in reference if s.input_db is not None and s.quality_db is not None]
    if not known:
        return ""
    gain = fmean(quality - given for given, quality in known)
    return "" if gain > 0 else f"the reference does not beat its input here ({gain:+.2f} dB): nothing to gate"


def judged(
    step: str, gate: str, value: float | None, limit: float, *, unit: str = "", at_least: bool, reason: str = ""
) -> GateResult:
    """A gate's result; a value of None means that it was not run."""
    if value is None:
        state = GateState.NOT_RUN
    else:
        state = GateState.PASSED if (value >= limit if at_least else value <= limit) else GateState.FAILED
    return GateResult(
        step=step, gate=gate, state=state, value=value, limit=limit, unit=unit, at_least=at_least, reason=reason
    )


def _row(rows: Sequence[Row], step: str) -> Row:
    return next(row for row in rows if row.step == step)


def _step_parity(row: Row) -> float:
    return _or_equal(worst([score.step_parity_db for score in row.pictures]))


def _or_equal(value: float | None) -> float:
    return EQUAL_DB if value is None else value
