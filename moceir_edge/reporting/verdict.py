"""Verdicts: a card for each artifact, and all gates."""

from __future__ import annotations

from moceir_edge.artifacts import Artifact, GateResult
from moceir_edge.parity.gates import EQUAL_DB
from moceir_edge.reporting.contents import (
    LOSS,
    SHARE,
    Card,
    Heading,
    Listing,
    Mark,
    Paragraph,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    joined,
    say,
)
from moceir_edge.reporting.recorded import RecipeRun, Run
from moceir_edge.terms import GateState

STATES = {
    GateState.PASSED: Mark("passed", Tone.GOOD),
    GateState.FAILED: Mark("failed", Tone.BAD),
    GateState.NOT_RUN: Mark("not run", Tone.UNSURE),
}
FLOORS = (1000.0, 10.0)
"""Gates' values from these on are shown with none and with two decimals; smaller ones with four."""


def mark_of(recipe: RecipeRun) -> Mark:
    """Passed, failed or not judged; unverified where its own runtime did not run here."""
    if recipe.verification is None:
        return Mark("not judged", Tone.UNSURE)
    if recipe.verification.failed:
        return Mark("failed", Tone.BAD)
    if recipe.judged is None or not recipe.judged.verified:
        return Mark("passed, unverified", Tone.UNSURE)
    return Mark("passed", Tone.GOOD)


def card(run: Run, recipe: RecipeRun) -> Card:
    """The verdict on an artifact, its failed gates, and what nothing here could check."""
    parts: list[Part] = [*_failed(run, recipe), *_key_numbers(run, recipe), *_open(recipe)]
    return Card(title=recipe.name, subtitle=_subtitle(recipe.artifact), mark=mark_of(recipe), parts=tuple(parts))


def idle_tasks(run: Run) -> tuple[Paragraph, ...]:
    """Tasks on which the reference does not beat its input: said once, first."""
    found: dict[str, Paragraph] = {}
    for recipe in run.recipes:
        place = f"verify-{recipe.name}.summaries"
        for index, row in enumerate(recipe.verification.summaries if recipe.verification else ()):
            gains = row.quality_db is not None and row.input_db is not None and row.quality_db > row.input_db
            if row.step != "full" or row.set_name is not None or row.input_db is None or gains:
                continue
            found[row.task] = say(
                f"On {row.task} the reference itself does not beat its input: ",
                run.number(f"{place}.{index}.quality_db", unit="dB"),
                " after it, ",
                run.number(f"{place}.{index}.input_db", unit="dB"),
                " before. Losses on this task mean nothing, and its quality gates do not count.",
                tone=Tone.UNSURE,
            )
    return tuple(found.values())


def gates(run: Run) -> Section:
    """Every gate with its state, value, limit and reason."""
    parts: list[Part] = []
    for recipe in run.recipes:
        if recipe.verification is None:
            continue
        parts.append(Heading(recipe.name))
        rows = tuple(
            (
                (gate.step,),
                (gate.gate,),
                (STATES[gate.state],),
                value(run, recipe, index),
                limit(run, recipe, index),
                (gate.reason,),
            )
            for index, gate in enumerate(recipe.verification.gates)
        )
        parts.append(Table(("step", "gate", "state", "value", "limit", "reason"), rows, words=3, tail=1))
        if any(gate.unit == "dB" and gate.value == EQUAL_DB for gate in recipe.verification.gates):
            parts.append(say(f"{EQUAL_DB:.0f} dB stands for equal pictures.", tone=Tone.QUIET))
    return Section("gates", "All gates", tuple(parts) or (say("No artifact has been judged."),))


def value(run: Run, recipe: RecipeRun, index: int) -> Phrase:
    """What a gate measured."""
    assert recipe.verification is not None
    gate = recipe.verification.gates[index]
    return (run.number(f"verify-{recipe.name}.gates.{index}.value", _form(gate, gate.value), _unit(gate)),)


def limit(run: Run, recipe: RecipeRun, index: int) -> Phrase:
    """What a gate allows."""
    assert recipe.verification is not None
    gate = recipe.verification.gates[index]
    sign = "≥ " if gate.at_least else "≤ "
    return (sign, run.number(f"verify-{recipe.name}.gates.{index}.limit", _form(gate, gate.limit), _unit(gate)))


def _failed(run: Run, recipe: RecipeRun) -> list[Part]:
    if recipe.verification is None:
        return [say("No gate has judged it: the run stopped before.")]
    every = recipe.verification.gates
    failed = [index for index, gate in enumerate(every) if gate.state is GateState.FAILED]
    passed = sum(gate.state is GateState.PASSED for gate in every)
    if not failed:
        not_run = len(every) - passed
        return [say(f"{passed} of {len(every)} gates passed, none failed{f', {not_run} not run' if not_run else ''}.")]
    lines = tuple(
        (f"{every[i].step}: {every[i].gate} ", *value(run, recipe, i), ", limit ", *limit(run, recipe, i))
        for i in failed
    )
    return [say(f"{len(failed)} of {len(every)} gates failed:"), Listing(lines)]


def _key_numbers(run: Run, recipe: RecipeRun) -> list[Part]:
    lines: list[Phrase] = []
    rows = recipe.verification.summaries if recipe.verification else ()
    last = rows[-1].step if rows else ""
    for index, row in enumerate(rows):
        if row.step == last and row.set_name is None and row.loss_db is not None:
            place = f"verify-{recipe.name}.summaries.{index}.loss_db"
            mean, low, high = (run.number(f"{place}.{name}", LOSS, "dB") for name in ("mean", "low", "high"))
            lines.append((f"{row.task}: ", mean, " PSNR lost (95 %: ", low, " to ", high, f"; {last} against full)"))
    if recipe.artifact is not None:
        counts = f"export-{recipe.name}.counts"
        work = run.number(f"{counts}.macs", ".2f", "G")
        share = recipe.artifact.counts.integer_share
        integer: Phrase = (", ", run.number(f"{counts}.integer_share", SHARE, "%"), " of them in integers")
        size = recipe.artifact.counts.size
        lines.append(
            (
                run.number(f"{counts}.size_bytes", ".2f", "MB"),
                "; ",
                work,
                f" MACs at {size[1]}×{size[0]}",
                *(integer if share is not None else ()),
            )
        )
    return [Listing(tuple(lines))] if lines else []


def _open(recipe: RecipeRun) -> list[Part]:
    sentences = recipe.verification.unverified if recipe.verification else ()
    return [say("Not verified: ", *joined([(text,) for text in sentences], "; "), tone=Tone.QUIET)] if sentences else []


def _subtitle(artifact: Artifact | None) -> str:
    if artifact is None:
        return ""
    size = artifact.fixed_size
    where = "any size" if size is None else f"{size[1]}×{size[0]}"
    return f"{artifact.target}, {artifact.precision}, {where}; {', '.join(artifact.tasks)}"


def _form(gate: GateResult, number: float | None) -> str:
    """One form for the value and its limit, by the larger of the two."""
    largest = max(abs(gate.limit), abs(number or 0.0), abs(gate.value or 0.0))
    return ",.0f" if largest >= FLOORS[0] else "z.2f" if largest >= FLOORS[1] else "z.4f"


def _unit(gate: GateResult) -> str:
    return "dB" if gate.unit == "dB" else ""
