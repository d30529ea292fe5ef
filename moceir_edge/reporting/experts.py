"""Routing: which experts the pictures use, by how much, and how alike tasks are in that."""

from __future__ import annotations

from statistics import median

from moceir_edge.reporting.contents import (
    Code,
    Drawing,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    say,
)
from moceir_edge.reporting.figures import heat_map
from moceir_edge.reporting.recorded import Run
from moceir_edge.routing.evidence import Use
from moceir_edge.routing.routing import Routing

CLOSE = 0.05
"""A median margin below this is called close: scores run from 0 to 1."""


def routing(run: Run) -> Section:
    """Heat map, counts, margins, agreement."""
    if run.routing is None:
        return Section("routing", "Routing", (say("Routing has not been observed."),))
    uses, layers = run.routing.evidence.uses, run.routing.choosing.layers
    if not uses:
        return Section("routing", "Routing", (say("No picture chose."),))
    counts = {task.value: [use.counts for use in uses if use.task is task] for task in run.routing.choosing.tasks}
    pictures = run.number("routing.choosing.pictures.length", "d")
    parts: list[Part] = [
        say(
            "First choices of ", pictures, " choosing pictures: by task (columns), expert (below it) and layer (rows)."
        ),
        Drawing(
            heat_map(counts, layers), "How many pictures choose which expert first; the stronger, the larger the share."
        ),
        *_close(uses),
        _use_table(run, run.routing),
        *_agreement(run, run.routing),
    ]
    return Section("routing", "Routing", tuple(parts))


def _close(uses: tuple[Use, ...]) -> list[Part]:
    middle = median(use.mean_margin for use in uses)
    if middle >= CLOSE:
        return []
    text = (
        f"The choices are close: the mean margin between the first and the second expert is {middle:.4f} in the median "
        "layer, of scores between 0 and 1. Small changes of a picture, or of its precision, can change its route."
    )
    return [say(text, tone=Tone.UNSURE)]


def _use_table(run: Run, observed: Routing) -> Table:
    experts = range(observed.choosing.experts)
    rows = []
    for index, use in enumerate(observed.evidence.uses):
        place = f"routing.evidence.uses.{index}"
        cells = []
        for expert in experts:
            count = run.number(f"{place}.counts.{expert}", "d")
            gate = run.number(f"{place}.mean_gates.{expert}", "z.3f")
            cells.append((count, " (", gate, ")") if use.counts[expert] else (count,))
        margins = tuple((run.number(f"{place}.{name}_margin", "z.4f"),) for name in ("mean", "min"))
        rows.append(((use.task,), (Code(use.layer),), *cells, *margins))
    head = ("task", "layer", *(f"expert {expert}" for expert in experts), "mean margin", "least margin")
    caption = "Pictures by first choice (in brackets the expert's mean gate on them); margin: first minus second score."
    return Table(head, tuple(rows), words=2, caption=caption, fold="counts, gates and margins of every layer")


def _agreement(run: Run, observed: Routing) -> list[Part]:
    found: dict[tuple[str, str], list[Phrase]] = {}
    for index, row in enumerate(observed.evidence.agreements):
        cell: Phrase = (run.number(f"routing.evidence.agreements.{index}.overlap", ".2f"),)
        found.setdefault((row.first, row.second), []).append(cell)
    if not found:
        return [say("Only one task was observed: nothing says how tasks differ.", tone=Tone.QUIET)]
    rows = tuple(((f"{first}, {second}",), *cells) for (first, second), cells in found.items())
    caption = "How alike two tasks choose in a layer: 1 the same, 0 no expert in common (1 - total variation distance)."
    return [Table(("tasks", *observed.choosing.layers), rows, caption=caption, fold="agreement between tasks")]
