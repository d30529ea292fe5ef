"""Which expert each routed layer keeps, and the model that keeps only those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from moceir_edge.errors import InputError, PlanError
from moceir_edge.network.architecture import Architecture, DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.routing.routing import Routing
from moceir_edge.terms import Task


def experts_from_text(text: str, architecture: Architecture) -> tuple[int, ...]:
    """One index for each decoder level in running order, from "0" (everywhere) or "0,1,2"; InputError otherwise."""
    levels, count = architecture.levels, architecture.experts
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise InputError(f"experts '{text}' are no indices", "give one, such as 0, or one for each level: 0,1,2")
    chosen = tuple(int(part) for part in parts) * (levels if len(parts) == 1 else 1)
    if len(chosen) != levels:
        raise InputError(f"experts {text}: {len(chosen)} indices for {levels} decoder levels", f"give 1 or {levels}")
    if max(chosen) >= count:
        raise InputError(f"expert {max(chosen)} is none of this model's {count}", f"give 0 to {count - 1}")
    return chosen


def experts_from_routing(path: Path, model: LoadedModel, tasks: Sequence[Task]) -> tuple[int, ...]:
    """The most used first choice of each decoder level over the choosing pictures of the tasks.

    PlanError for the routing of another model, or one that has not seen a task.
    """
    routing = Routing.read(path)
    if routing.model_sha256 != model.sha256:
        raise PlanError(f"{model.origin}: the routing was observed on another model", "observe this model again")
    missing = [task for task in tasks if task not in routing.choosing.tasks]
    if missing:
        seen = ", ".join(routing.choosing.tasks) or "no task at all"
        raise PlanError(f"the routing has no choosing pictures of {', '.join(missing)}", f"it has them of {seen}")
    return tuple(_most_used(routing, tasks, level) for level in range(model.architecture.levels))


def _most_used(routing: Routing, tasks: Sequence[Task], level: int) -> int:
    uses = [u for u in routing.evidence.uses if u.task in tasks and u.layer.startswith(f"dec.{level}.")]
    totals = [sum(counts) for counts in zip(*(use.counts for use in uses), strict=True)]
    return totals.index(max(totals))


def require_single(model: LoadedModel) -> None:
    """PlanError if a slim model keeps several experts in a layer: variants of it would differ in their work."""
    for name, block in model.architecture.routed():
        if len(block.kept) > 1:
            kept = ", ".join(map(str, block.kept))
            raise PlanError(f"layer {name} keeps experts {kept}, and bench runs one", "slim with --max-experts 1")


def keep_experts(model: LoadedModel, by_level: Sequence[int]) -> LoadedModel:
    """A full model with one expert for each decoder level, its routers and its exact gate."""
    levels = zip(model.architecture.decoder, by_level, strict=True)
    decoder = tuple(tuple(_only(block, index) for block in level) for level, index in levels)
    network = MoceIR(replace(model.architecture, decoder=decoder))
    source = model.network.state_dict()
    network.load_state_dict({name: source[name] for name in network.state_dict()})
    return LoadedModel(network.eval(), model.origin)


def _only(block: DecoderBlockShape, index: int) -> DecoderBlockShape:
    experts = tuple(expert if position == index else None for position, expert in enumerate(block.experts))
    return replace(block, experts=experts, served=(index,))
