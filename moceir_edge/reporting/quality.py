"""dB per step: what every step on the way to an artifact cost."""

from __future__ import annotations

from moceir_edge.parity.compare import TaskSummary
from moceir_edge.reporting.contents import (
    LOSS,
    SHARE,
    Drawing,
    Heading,
    Listing,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    say,
)
from moceir_edge.reporting.figures import Point, loss_chart
from moceir_edge.reporting.recorded import RecipeRun, Run

HEAD = (
    "step",
    "task or set",
    "pictures",
    "input",
    "PSNR",
    "loss",
    "95 % interval",
    "worst picture",
    "worst parity",
    "worst residual SNR",
    "SSIM",
    "guard agrees",
)


def quality(run: Run) -> Section:
    """A chart and a table for each recipe."""
    parts: list[Part] = [
        say(
            "Mean PSNR against the target. Loss: full model minus step, picture by picture; more is worse. Parity and "
            "residual SNR compare with the full model's own output, on its worst picture; the residual is what the "
            "network adds to its input. A dash: equal pictures, or no target.",
            tone=Tone.QUIET,
        )
    ]
    judged = [recipe for recipe in run.recipes if recipe.verification is not None]
    for recipe in judged:
        parts.append(Heading(recipe.name))
        parts.extend(_chart(recipe))
        parts.append(_table(run, recipe))
        parts.append(_ways(recipe))
    parts = parts if judged else [say("No artifact has been verified.")]
    return Section("quality", "What every step cost", tuple(parts))


def _chart(recipe: RecipeRun) -> list[Part]:
    assert recipe.verification is not None
    points = [
        Point(row.step, row.task, row.loss_db)
        for row in recipe.verification.summaries
        if row.loss_db is not None and row.set_name is None and row.step != "full"
    ]
    limits: dict[str, float] = {
        gate.step: gate.limit
        for gate in recipe.verification.gates
        if gate.gate.startswith("PSNR loss") and gate.gate.endswith("mean")
    }
    caption = "Mean PSNR lost since the full model, with its 95 % bootstrap interval. The upright stroke is the limit."
    return [Drawing(loss_chart(points, limits), caption)] if points else []


def _table(run: Run, recipe: RecipeRun) -> Table:
    assert recipe.verification is not None
    rows = tuple(
        _row(run, f"verify-{recipe.name}.summaries.{index}", row)
        for index, row in enumerate(recipe.verification.summaries)
    )
    return Table(HEAD, rows, words=2)


def _row(run: Run, place: str, row: TaskSummary) -> tuple[Phrase, ...]:
    loss: tuple[Phrase, ...] = (("–",), ("–",), ("–",))
    if row.loss_db is not None:
        interval = (
            run.number(f"{place}.loss_db.low", LOSS),
            " to ",
            run.number(f"{place}.loss_db.high", LOSS),
        )
        loss = ((run.number(f"{place}.loss_db.mean", LOSS),), interval, (run.number(f"{place}.worst_loss_db", LOSS),))
    return (
        (row.step,),
        (row.task if row.set_name is None else f"· {row.set_name}",),
        (run.number(f"{place}.n", "d"),),
        (run.number(f"{place}.input_db"),),
        (run.number(f"{place}.quality_db"),),
        *loss,
        (run.number(f"{place}.worst_parity_db"),),
        (run.number(f"{place}.worst_residual_snr_db"),),
        (run.number(f"{place}.ssim", "z.4f"),),
        (run.number(f"{place}.agreement", SHARE, "%"),),
    )


def _ways(recipe: RecipeRun) -> Listing:
    assert recipe.verification is not None
    return Listing(tuple((f"{row.step}: {row.how}",) for row in recipe.verification.rows))
