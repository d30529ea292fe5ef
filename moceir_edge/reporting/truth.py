"""The table of truth: for each artifact what was shown of it and what it cost; for the report, and as Markdown."""

from __future__ import annotations

from moceir_edge.artifacts import Artifact
from moceir_edge.parity.verify import Verification
from moceir_edge.reporting.recorded import DASH, RecipeRun, Run
from moceir_edge.reporting.verdict import STATES

PROOFS = ("parsed", "built", "emulated", "executed", "executed_on_device")

HEAD = (
    "artifact",
    "target",
    "precision",
    *(proof.replace("_", " ").replace("on device", "on a device") for proof in PROOFS),
    "dB lost, mean",
    "worst picture",
    "s per megapixel",
)
"""Loss: PSNR against the full model in float32, of the worst task; time: of the artifact's own runtime, here, beside
other work."""


def truth_rows(run: Run) -> tuple[tuple[str, ...], ...]:
    """A row for each artifact, in the order of the recipes."""
    known = ((recipe, recipe.judged or recipe.artifact) for recipe in run.recipes)
    return tuple(_row(recipe, artifact) for recipe, artifact in known if artifact is not None)


def truth_text(run: Run) -> str:
    """The table as Markdown."""
    lines = (HEAD, ("---",) * len(HEAD), *truth_rows(run))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(recipe: RecipeRun, artifact: Artifact) -> tuple[str, ...]:
    states = (STATES[getattr(artifact.proofs, proof).state].text for proof in PROOFS)
    mean, worst = (None, None) if recipe.verification is None else _losses(recipe.verification)
    seconds = recipe.verification.seconds_per_megapixel if recipe.verification else None
    return (
        recipe.name,
        artifact.target,
        artifact.precision,
        *states,
        _number(mean, "+z.3f"),
        _number(worst, "+z.3f"),
        _number(seconds, ".2f"),
    )


def _losses(verification: Verification) -> tuple[float | None, float | None]:
    """Of the artifact's own row: the mean of the task that lost most, and the worst picture of all."""
    own = [row for row in verification.summaries if row.step == "artifact" and row.set_name is None]
    means = [row.loss_db.mean for row in own if row.loss_db is not None]
    worsts = [row.worst_loss_db for row in own if row.worst_loss_db is not None]
    return max(means, default=None), max(worsts, default=None)


def _number(value: float | None, form: str) -> str:
    return DASH if value is None else f"{value:{form}}"
