"""The plan: what stays in every layer and why, how far the evidence reaches, what the guard costs."""

from __future__ import annotations

from moceir_edge.compress.layer_choice import LayerPlan
from moceir_edge.compress.prune import PruningPlan
from moceir_edge.reporting.contents import (
    COUNT,
    SHARE,
    Code,
    Heading,
    Paragraph,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    joined,
    say,
)
from moceir_edge.reporting.facts import SlimFacts
from moceir_edge.reporting.recorded import Run


def plan(run: Run) -> Section:
    """A row for each layer, the evidence bound, the guard."""
    title = "The plan"
    if run.slim is None:
        return Section("plan", title, (say("The model has not been slimmed."),))
    facts = run.slim
    parts: tuple[Part, ...] = (
        _request(run, facts.plan),
        _layers(run, facts.plan),
        *_without_experts(run, facts.plan),
        Heading("How far the evidence reaches"),
        *_bound(run, facts),
        Heading("What the guard costs"),
        *_guard(run, facts),
    )
    return Section("plan", title, parts)


def is_blind(layer: LayerPlan) -> bool:
    """Whether a layer serves every choice, so that it always agrees."""
    return len(layer.served) == layer.experts


def _request(run: Run, chosen: PruningPlan) -> Paragraph:
    pictures = joined([(f"{task} (", run.number(f"slim.plan.n.{task}", "d"), ")") for task in chosen.n])
    most = "" if chosen.max_experts is None else f", at most {chosen.max_experts} experts a layer"
    return say(
        f"{chosen.dropped} experts go. Decided on choosing pictures of ",
        *pictures,
        "; coverage asked for ",
        run.number("slim.plan.coverage", SHARE, "%"),
        f"{most}; gate {chosen.gate}.",
    )


def _layers(run: Run, chosen: PruningPlan) -> Table:
    rows = []
    for index, layer in enumerate(chosen.layers):
        place = f"slim.plan.layers.{index}"
        counts = joined([_counts(run, place, task, len(layer.counts[task])) for task in layer.counts], "; ")
        coverage = run.number(f"{place}.coverage", SHARE, "%")
        rows.append(((Code(layer.layer),), (_kept(layer),), counts, (layer.reason,), (coverage,)))
    return Table(("layer", "kept", "first choices of experts 0, 1, …", "why", "coverage"), tuple(rows), words=4)


def _kept(layer: LayerPlan) -> str:
    if not layer.kept:
        return "none: shortcut"
    kept = ", ".join(map(str, layer.kept))
    shortcut = [str(index) for index in layer.served if index not in layer.kept]
    return f"{kept}; shortcut for {', '.join(shortcut)}" if shortcut else kept


def _counts(run: Run, place: str, task: str, experts: int) -> Phrase:
    numbers: list[Phrase] = [(run.number(f"{place}.counts.{task}.{expert}", "d"),) for expert in range(experts)]
    return (f"{task} ", *joined(numbers, " "))


def _without_experts(run: Run, chosen: PruningPlan) -> list[Part]:
    known: list[Phrase] = [
        (f"{task} ", run.number(f"slim.plan.without_experts_db.{task}", "+z.4f", "dB"))
        for task, value in chosen.without_experts_db.items()
        if value is not None
    ]
    return (
        [say("Without any expert in any layer the mean PSNR would change by: ", *joined(known), ".")] if known else []
    )


def _bound(run: Run, facts: SlimFacts) -> list[Part]:
    bound = facts.bound
    sentence = say(
        run.number("slim.bound.events", "d"),
        " of ",
        run.number("slim.bound.n", "d"),
        " judging pictures wanted a dropped expert in some layer: at most ",
        run.number("slim.bound.share_below", SHARE, "%"),
        " of such pictures do, with ",
        run.number("slim.bound.confidence", ".0f", "%"),
        " confidence (Clopper and Pearson, one-sided). 1 % would need 299 pictures without one.",
    )
    if bound.layers:
        return [sentence] if bound.n else [say("No judging picture of these tasks: nothing bounds the risk.")]
    empty = (
        "But here every choice is served, by the shortcut if by nothing else, so no picture could have wanted a "
        "dropped expert: this bound says nothing about the pictures. What speaks for the plan is the change "
        "measured above."
    )
    return [sentence, say(empty, tone=Tone.UNSURE)]


def _guard(run: Run, facts: SlimFacts) -> list[Part]:
    if facts.guard is None:
        return [say("There is none: this model cannot say that a picture is out of its domain.")]
    size = facts.guard.size
    need = (
        "The exact gate needs its routers in any case." if facts.guard.needed else "The folded gate would do without."
    )
    cost = say(
        "Routers and frequency embedding: ",
        run.number("slim.guard.parameters", COUNT),
        " parameters (",
        run.number("slim.guard.share_of_parameters", SHARE, "%"),
        ") and ",
        run.number("slim.guard.macs", ".4f", "G"),
        " MACs (",
        run.number("slim.guard.share_of_macs", ".2f", "%"),
        f") at {size[1]}×{size[0]}. {need}",
    )
    return [cost, *_blindness(facts.plan)]


def _blindness(chosen: PruningPlan) -> list[Part]:
    blind = [layer for layer in chosen.layers if is_blind(layer)]
    if not blind:
        return []
    if len(blind) == len(chosen.layers):
        text = (
            "Agreement can say nothing here: the shortcut serves every choice of every layer, so it is always 1, "
            "whatever picture comes. Only the scores themselves can tell: see the guard in use."
        )
        return [say(text, tone=Tone.UNSURE)]
    names = joined([(Code(layer.layer),) for layer in blind])
    return [
        say(
            f"In {len(blind)} of {len(chosen.layers)} layers (",
            *names,
            ") every choice is served, so agreement says nothing of them; the guard goes by the scores of all layers.",
            tone=Tone.UNSURE,
        )
    ]
