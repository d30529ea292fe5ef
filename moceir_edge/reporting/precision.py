"""The precision in which an artifact runs: integers, float32 islands, and what stayed as it was, with the reasons."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from moceir_edge.artifacts import OverflowBound
from moceir_edge.program.islands import FLOAT16_LARGEST
from moceir_edge.records import Skipped
from moceir_edge.reporting.contents import SHARE, Code, Heading, Listing, Part, Phrase, Section, Table, say
from moceir_edge.reporting.core_ml import compute_units, stored_weights
from moceir_edge.reporting.recorded import RecipeRun, Run

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.])")


def precision(run: Run) -> Section:
    """Islands, what stays in float and why, and what was planned for integers."""
    parts: list[Part] = []
    for recipe in run.recipes:
        if recipe.artifact is not None:
            parts.append(Heading(f"{recipe.name}: {recipe.artifact.precision}"))
            parts.extend(_precision(run, recipe))
    return Section("precision", "Precision", tuple(parts) or (say("Nothing has been exported."),))


def _precision(run: Run, recipe: RecipeRun) -> list[Part]:
    assert recipe.artifact is not None
    place, parts = f"export-{recipe.name}", list[Part]()
    if recipe.precision is not None:
        parts.extend(_integer_plan(run, recipe))
    if recipe.artifact.counts.integer_share is not None:
        share = run.number(f"{place}.counts.integer_share", SHARE, "%")
        where = recipe.artifact.counts.counted_in or "the graph that the runtime saved"
        parts.append(say(share, f" of the MACs run in integer kernels, counted in {where}."))
    parts.extend((*stored_weights(run, recipe), *compute_units(run, recipe)))
    islands, count = recipe.artifact.islands, run.number(f"{place}.islands.length", "d")
    parts.append(say(count, " operations are float32 islands", "." if not islands else ":"))
    if islands:
        parts.append(Table(("float32 islands",), tuple(((Code(name),),) for name in islands), fold="their names"))
    if recipe.artifact.overflow:
        parts.append(_overflow(run, place, recipe.artifact.overflow))
    skipped = run.number(f"{place}.skipped.length", "d")
    if not recipe.artifact.skipped:
        return [*parts, say("Nothing was skipped.")]
    return [*parts, say(skipped, " operations were left out of it:"), *_skipped(recipe.artifact.skipped)]


def _integer_plan(run: Run, recipe: RecipeRun) -> list[Part]:
    assert recipe.precision is not None
    plan, place = recipe.precision, recipe.precision_name
    parts: list[Part] = [_expected(run, recipe)]
    if plan.cost_share is not None:
        share = run.number(f"{place}.cost_share", SHARE, "%")
        parts.append(say("The plan costs ", share, f" of float everywhere ({plan.costs})."))
    rows = tuple(((Code(group.name),), (group.chosen.choice,), (group.reason,)) for group in plan.groups)
    if rows:
        parts.append(Table(("group", "in integers", "reason"), rows, words=3, fold="the choice for each group"))
    return parts


def _expected(run: Run, recipe: RecipeRun) -> Part:
    assert recipe.precision is not None
    place, simulated = recipe.precision_name, recipe.precision.simulated
    phrase: Phrase = (
        f"{len(recipe.precision.integer)} convolutions are planned in 8-bit integers, ",
        run.number(f"{place}.integer_share", SHARE, "%"),
        " of all MACs; simulated on the calibration crops they leave a residual SNR of at least ",
        run.number(f"{place}.simulated.residual_snr_db", unit="dB"),
    )
    if simulated.largest_change_db is None:
        return say(*phrase, ".")
    most = run.number(f"{place}.simulated.largest_change_db", ".3f", "dB")
    return say(*phrase, " and change PSNR by at most ", most, " on one.")


def _overflow(run: Run, place: str, overflow: Sequence[OverflowBound]) -> Part:
    """What float16 has to hold outside the islands, picture by picture."""
    rows = tuple(
        (
            (f"{found.picture}, {found.size[1]}x{found.size[0]}",),
            (run.number(f"{place}.overflow.{index}.bound", ",.1f"),),
            (run.number(f"{place}.overflow.{index}.parity_db", unit="dB"),),
            (Code(found.operation),),
        )
        for index, found in enumerate(overflow)
    )
    head = ("picture", "largest sum of magnitudes", "rounded against float32", "in")
    return Table(head, rows, tail=1, caption=f"Outside the islands; float16 ends at {FLOAT16_LARGEST:,.0f}.")


def _skipped(skipped: Sequence[Skipped]) -> list[Part]:
    """A line for each reason; the numbers in it become their range, the names fold away."""
    groups: dict[str, list[Skipped]] = defaultdict(list)
    for item in skipped:
        groups[NUMBER.sub("…", item.reason)].append(item)
    lines: list[Phrase] = [(f"{len(items)} × {_ranged(items)}",) for items in groups.values()]
    rows = tuple(((Code(item.what),), (item.reason,)) for item in skipped)
    return [Listing(tuple(lines)), Table(("operation", "reason"), rows, words=2, fold="each of them")]


def _ranged(items: Sequence[Skipped]) -> str:
    found = [NUMBER.findall(item.reason) for item in items]
    columns = [sorted(set(column), key=float) for column in zip(*found, strict=True)]
    spans = iter(column[0] if len(column) == 1 else f"{column[0]} to {column[-1]}" for column in columns)
    return NUMBER.sub(lambda _: next(spans), items[0].reason)
