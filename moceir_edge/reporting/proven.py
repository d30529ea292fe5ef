"""What has been proven of an artifact, and what has not."""

from __future__ import annotations

from moceir_edge.artifacts import Artifact, Proof
from moceir_edge.reporting.contents import Heading, Listing, Mark, Part, Phrase, Section, Table, Tone, say
from moceir_edge.reporting.recorded import RecipeRun, Run
from moceir_edge.reporting.truth import HEAD, PROOFS, truth_rows
from moceir_edge.reporting.verdict import STATES
from moceir_edge.terms import GateState

NONE_STANDS_IN = (
    "None of these proofs stands in for another. Loss: PSNR against the full model, of the task that lost most. Time: "
    "of the artifact's own runtime on this machine, beside the other rows; a dash where nothing ran it."
)


def proofs(run: Run) -> Section:
    """A column for each kind of proof; below it in sentences how it was shown, and everything that was not."""
    rows = tuple(tuple((_marked(word),) for word in row) for row in truth_rows(run))
    parts: list[Part] = [Table(HEAD, rows, words=len(HEAD))] if rows else []
    parts.append(say(NONE_STANDS_IN, tone=Tone.QUIET))
    for recipe in run.recipes:
        sentences = (*unproven(recipe), *_shown(recipe))
        if sentences:
            parts.extend((Heading(recipe.name), Listing(sentences)))
    parts.append(say("The stages themselves measure no power, no heat and no quiet latency: profile and bench do."))
    return Section("unproven", "What has been proven, and what has not", tuple(parts))


def proofs_of(artifact: Artifact) -> tuple[tuple[str, Proof], ...]:
    """The proofs by name, in the order in which they are shown."""
    return tuple((name, getattr(artifact.proofs, name)) for name in PROOFS)


def unproven(recipe: RecipeRun) -> tuple[Phrase, ...]:
    """Sentences on what no gate and no proof of an artifact shows."""
    if recipe.verification is None:
        return (("the artifact was not judged",),)
    verification = recipe.verification
    not_run = [gate for gate in verification.gates if gate.state is GateState.NOT_RUN]
    return (
        *((sentence,) for sentence in verification.unverified),
        *((f"{gate.step}: {gate.gate} not run{f': {gate.reason}' if gate.reason else ''}",) for gate in not_run),
    )


def _marked(word: str) -> str | Mark:
    return next((mark for mark in STATES.values() if mark.text == word), word)


def _shown(recipe: RecipeRun) -> tuple[Phrase, ...]:
    """How a proof was made or failed, and how the artifact's own row of dB came about."""
    artifact = recipe.judged or recipe.artifact
    decided = [item for item in proofs_of(artifact) if item[1].state is not GateState.NOT_RUN] if artifact else []
    rows = recipe.verification.rows if recipe.verification else ()
    own = [row.how for row in rows if row.step == "artifact"]
    return (
        *(
            (f"{name.replace('_', ' ')}: ", STATES[proof.state], f", {proof.reason}")
            for name, proof in decided
            if proof.reason
        ),
        *((f"its pictures and its row of dB: {how}",) for how in own),
    )
