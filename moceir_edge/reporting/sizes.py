"""Sizes before and after."""

from __future__ import annotations

from moceir_edge.compress.costs import SlimCosts
from moceir_edge.reporting.contents import (
    COUNT,
    SHARE,
    Drawing,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    joined,
    say,
)
from moceir_edge.reporting.figures import Panel, bars
from moceir_edge.reporting.recorded import RecipeRun, Run

HEAD = ("", "parameters", "bytes", "MACs", "at", "MACs a pixel", "of full, static", "in integers")
FLOAT32_BYTES = 4


def sizes(run: Run) -> Section:
    """Parameters, bytes and MACs of the full model, the slim one and every artifact."""
    costs = run.slim.costs if run.slim else None
    rows = [*_model_rows(run, costs), *(_artifact_row(run, recipe, costs) for recipe in run.recipes if recipe.artifact)]
    if not rows:
        return Section("sizes", "Sizes", (say("Nothing has been counted."),))
    parts: list[Part] = []
    if costs is not None:
        parts.append(
            Drawing(_bars(run, costs), "Before and after. MACs by pixel, since artifacts may have other sizes.")
        )
    parts.append(Table(HEAD, tuple(rows)))
    note = (
        "MACs count convolutions, linear layers, attention products and window transforms. Full, static: all experts "
        "computed and masked, as an export of the full model has to. Full, dynamic: one expert a layer, from the "
        "cheapest to the dearest everywhere. Bytes of models: 4 for a parameter; of artifacts: their model files."
    )
    parts.append(say(note, tone=Tone.QUIET))
    parts.extend((*_experts(run), *_memory(run)))
    return Section("sizes", "Sizes", tuple(parts))


def _model_rows(run: Run, costs: SlimCosts | None) -> list[tuple[Phrase, ...]]:
    if costs is None:
        if run.model is None:
            return []
        parameters = run.number("model.parameters", COUNT)
        return [(("full",), (parameters,), (_bytes(run.model.parameters),), *(("–",),) * 5)]
    at: Phrase = (f"{costs.size[1]}×{costs.size[0]}",)
    full: Phrase = (run.number("slim.costs.full_parameters", COUNT),)
    dynamic: Phrase = (
        run.number("slim.costs.dynamic_macs.0", ".3f", "G"),
        " to ",
        run.number("slim.costs.dynamic_macs.1", ".3f", "G"),
    )
    pixels = costs.size[0] * costs.size[1]
    span = f"{costs.dynamic_macs[0] / pixels:,.0f} to {costs.dynamic_macs[1] / pixels:,.0f}"
    shares = f"{_share(costs.dynamic_macs[0] / costs.full_macs)} to {_share(costs.dynamic_macs[1] / costs.full_macs)}"
    full_bytes: Phrase = (_bytes(costs.full_parameters),)
    none: Phrase = ("–",)

    def own(name: str, parameters: int, count: int) -> tuple[Phrase, ...]:
        work = run.number(f"slim.costs.{name}macs", ".3f", "G")
        number = run.number(f"slim.costs.{name}parameters", COUNT)
        a_pixel, share = f"{count / pixels:,.0f}", _share(count / costs.full_macs)
        return (number,), (_bytes(parameters),), (work,), at, (a_pixel,), (share,), none

    return [
        (("full, static",), *own("full_", costs.full_parameters, costs.full_macs)),
        (("full, dynamic",), full, full_bytes, dynamic, at, (span,), (shares,), none),
        (("slim",), *own("", costs.parameters, costs.macs)),
    ]


def _artifact_row(run: Run, recipe: RecipeRun, costs: SlimCosts | None) -> tuple[Phrase, ...]:
    assert recipe.artifact is not None
    counts, place = recipe.artifact.counts, f"export-{recipe.name}.counts"
    a_pixel = counts.macs / (counts.size[0] * counts.size[1])
    of_full = "–" if costs is None else _share(a_pixel / (costs.full_macs / (costs.size[0] * costs.size[1])))
    return (
        (recipe.name,),
        (run.number(f"{place}.parameters", COUNT),),
        (run.number(f"{place}.size_bytes", ".2f", "MB"),),
        (run.number(f"{place}.macs", ".3f", "G"),),
        (f"{counts.size[1]}×{counts.size[0]}",),
        (f"{a_pixel:,.0f}",),
        (of_full,),
        (run.number(f"{place}.integer_share", SHARE, "%"),),
    )


def _bytes(parameters: int) -> str:
    return f"{parameters * FLOAT32_BYTES / 1e6:.2f} MB"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _bars(run: Run, costs: SlimCosts) -> str:
    """Full, slim, and every artifact."""
    pixels = costs.size[0] * costs.size[1]
    rows = [
        ("full, static", costs.full_parameters, costs.full_parameters * FLOAT32_BYTES, costs.full_macs / pixels),
        ("slim", costs.parameters, costs.parameters * FLOAT32_BYTES, costs.macs / pixels),
    ]
    for recipe in run.recipes:
        if recipe.artifact is not None:
            counts = recipe.artifact.counts
            work = counts.macs / (counts.size[0] * counts.size[1])
            rows.append((recipe.name, counts.parameters, counts.size_bytes, work))
    names, parameters, sizes_bytes, work_a_pixel = zip(*rows, strict=True)
    return bars(
        names,
        (
            Panel("parameters", parameters, tuple(f"{value / 1e6:.2f} M" for value in parameters)),
            Panel("bytes", sizes_bytes, tuple(f"{value / 1e6:.2f} MB" for value in sizes_bytes)),
            Panel("MACs a pixel", work_a_pixel, tuple(f"{value / 1e3:.1f} k" for value in work_a_pixel)),
        ),
    )


def _experts(run: Run) -> list[Part]:
    if run.model is None:
        return []
    experts, every = (run.number(f"model.{name}parameters", COUNT) for name in ("expert_", ""))
    return [say("Experts hold ", experts, " of the full model's ", every, " parameters.")]


def _memory(run: Run) -> list[Part]:
    known = [r for r in run.recipes if r.artifact is not None and r.artifact.memory_mib_per_megapixel is not None]
    phrases: list[Phrase] = [
        (f"{recipe.name} ", run.number(f"export-{recipe.name}.memory_mib_per_megapixel", ".0f", "MiB"))
        for recipe in known
    ]
    return [say("Memory for a megapixel: ", *joined(phrases), ".")] if phrases else []
