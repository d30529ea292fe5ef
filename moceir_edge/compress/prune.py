"""Slim models: experts that the tasks do not use, or do not need, are removed.

`plan_pruning` decides on plain numbers of choosing pictures; `apply_pruning` acts and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from moceir_edge.compress.layer_choice import (
    LayerPlan,
    fold_gate,
    loss_without_experts,
    unneeded,
    with_experts,
    without_experts,
)
from moceir_edge.errors import GateError, PlanError
from moceir_edge.network.architecture import Architecture, DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.records import Record
from moceir_edge.routing.evidence import use_of_layer
from moceir_edge.routing.observe import Observation
from moceir_edge.routing.relevance import EVERYWHERE, LayerRelevance
from moceir_edge.routing.routing import Routing
from moceir_edge.terms import GateMode, Task

COVERAGE = 0.99

SHORTCUT_BUDGET_DB = 0.04
"""What all layers without experts may lose together by their single measurements: the gate on slim models is 0.05."""


class PruningPlan(Record):
    """Which experts stay, decided on `n` choosing pictures of each task.

    expected_coverage: the lowest of the layers. without_experts_db: mean change of PSNR when no layer has an expert,
    None where it was not measured. model_sha256, routing_sha256: what the plan was made for and from.
    """

    tasks: tuple[Task, ...]
    gate: GateMode
    guard: bool
    coverage: float
    max_experts: int | None
    n: dict[Task, int]
    layers: tuple[LayerPlan, ...]
    without_experts_db: dict[Task, float | None]
    model_sha256: str
    routing_sha256: str

    @property
    def expected_coverage(self) -> float:
        """The lowest coverage of the layers."""
        return min(layer.coverage for layer in self.layers)

    @property
    def served(self) -> tuple[tuple[int, ...], ...]:
        """Served experts of each layer."""
        return tuple(layer.served for layer in self.layers)

    @property
    def dropped(self) -> int:
        """How many experts go."""
        return sum(len(layer.dropped) for layer in self.layers)

    @property
    def text(self) -> str:
        """The plan for people: a line for each layer."""
        pictures = ", ".join(f"{task} ({count} pictures)" for task, count in self.n.items())
        head = f"drops {self.dropped} experts for {pictures}; coverage {self.expected_coverage:.3f}, gate {self.gate}"
        return "\n".join([head, *(f"  {layer.layer}: {layer.reason}" for layer in self.layers)])


def plan_pruning(
    routing: Routing,
    architecture: Architecture,
    *,
    tasks: Sequence[Task],
    coverage: float = COVERAGE,
    max_experts: int | None = None,
    gate: GateMode = GateMode.EXACT,
    guard: bool = True,
    allow_none: bool = True,
) -> PruningPlan:
    """Decide which experts stay, on the choosing pictures of `tasks` alone.

    coverage: in (0, 1], wanted of every layer and task; max_experts: limit for each layer, whatever it leaves.
    guard: keep the routers. allow_none: drop all experts of a layer where that costs nothing.
    Errors: PlanError for requests that cannot be met; GateError for a plan that drops nothing.
    """
    check_options(tasks=tasks, coverage=coverage, max_experts=max_experts, gate=gate, guard=guard)
    _check_routing(routing.choosing, architecture, tasks)
    layers = _plan_layers(routing, tasks, coverage=coverage, max_experts=max_experts, allow_none=allow_none)
    if gate is GateMode.FOLDED:
        layers = tuple(fold_gate(plan, routing.choosing, tasks, layer) for layer, plan in enumerate(layers))
    plan = PruningPlan(
        tasks=tuple(tasks),
        gate=gate,
        guard=guard,
        coverage=coverage,
        max_experts=max_experts,
        n={task: len(routing.choosing.of([task]).pictures) for task in tasks},
        layers=layers,
        without_experts_db={task: loss if loss is None else -loss for task, loss in _joint_losses(routing, tasks)},
        model_sha256=routing.model_sha256,
        routing_sha256=routing.sha256,
    )
    if not plan.dropped:
        wanted = ", ".join(tasks)
        raise GateError(
            f"the plan drops nothing: at coverage {coverage:g} {wanted} need every expert of every layer",
            "lower --coverage, set --max-experts, or ask for fewer tasks",
        )
    return plan


def apply_pruning(model: LoadedModel, plan: PruningPlan) -> LoadedModel:
    """Remove what the plan drops; the tensors that remain are copied, a folded gate is multiplied into proj_out.

    PlanError if the plan was made for another model.
    """
    if model.sha256 != plan.model_sha256:
        raise PlanError(f"{model.origin}: the routing was observed on another model", "observe this model again")
    architecture = slim_architecture(model.architecture, plan)
    network = MoceIR(architecture)
    source = model.network.state_dict()
    network.load_state_dict({name: source[name].detach().clone() for name in network.state_dict()})
    for name, block in architecture.routed():
        if block.mean_gate is not None:
            _fold(network.get_parameter(f"{name}.adapter.proj_out.weight"), block.mean_gate)
    provenance = {
        **model.provenance,
        "tasks": list(plan.tasks),
        "pruning": plan.model_dump(mode="json"),
        "routing_sha256": plan.routing_sha256,
    }
    return LoadedModel(network.eval(), model.origin, provenance)


def slim_architecture(architecture: Architecture, plan: PruningPlan) -> Architecture:
    """The shape of the slim network."""
    plans = {layer.layer: layer for layer in plan.layers}

    def slim(name: str, block: DecoderBlockShape) -> DecoderBlockShape:
        layer = plans[name]
        experts = tuple(expert if index in layer.kept else None for index, expert in enumerate(block.experts))
        return replace(block, experts=experts, served=layer.served, router=plan.guard, mean_gate=layer.mean_gate)

    slimmed = iter([slim(name, block) for name, block in architecture.routed()])
    return replace(architecture, decoder=tuple(tuple(next(slimmed) for _ in level) for level in architecture.decoder))


def _fold(weight: Tensor, gate: float) -> None:
    with torch.no_grad():
        weight.mul_(gate)


def check_options(
    *, tasks: Sequence[Task], coverage: float, max_experts: int | None, gate: GateMode, guard: bool
) -> None:
    """PlanError for options that no routing could satisfy."""
    if not 0 < coverage <= 1:
        raise PlanError(f"coverage {coverage:g} is out of range", "give a number above 0 and at most 1")
    if max_experts is not None and max_experts < 1:
        raise PlanError(f"{max_experts} experts for each layer are too few", "give 1 or more")
    if not tasks:
        raise PlanError("no task to keep", "name one or more with --task")
    if gate is GateMode.EXACT and not guard:
        raise PlanError("an exact gate needs the routers", "keep the guard, or ask for --gate folded")


def _check_routing(observation: Observation, architecture: Architecture, tasks: Sequence[Task]) -> None:
    missing = [task for task in tasks if task not in observation.tasks]
    if missing:
        seen = ", ".join(observation.tasks) or "no task at all"
        raise PlanError(
            f"the routing has no choosing pictures of {', '.join(missing)}", f"observe some; it has them of {seen}"
        )
    if (observation.layers, observation.experts) != (architecture.layers, architecture.experts):
        raise PlanError("the routing was observed on another network", "observe this model again")
    if architecture.slim or architecture.gate is GateMode.FOLDED:
        raise PlanError("the model is slim already", "slim the full model")


def _plan_layers(
    routing: Routing, tasks: Sequence[Task], *, coverage: float, max_experts: int | None, allow_none: bool
) -> tuple[LayerPlan, ...]:
    names = routing.choosing.layers
    measured = {layer: _relevance(routing, tasks, layer) for layer in names}
    losses = {layer: loss_without_experts(measured[layer], tasks) for layer in names}
    empty = unneeded(losses, budget_db=SHORTCUT_BUDGET_DB) if allow_none else frozenset()
    plans = []
    for position, layer in enumerate(names):
        uses = [use_of_layer(routing.choosing, task, position) for task in tasks]
        if layer in empty:
            plans.append(without_experts(uses, measured[layer]))
        else:
            plans.append(with_experts(uses, measured[layer], coverage=coverage, max_experts=max_experts))
    return tuple(plans)


def _relevance(routing: Routing, tasks: Sequence[Task], layer: str) -> tuple[LayerRelevance, ...]:
    if routing.relevance is None:
        return ()
    return tuple(row for task in tasks if (row := routing.relevance.of(task, layer)) is not None)


def _joint_losses(routing: Routing, tasks: Sequence[Task]) -> list[tuple[Task, float | None]]:
    everywhere = _relevance(routing, tasks, EVERYWHERE)
    return [(task, loss_without_experts(everywhere, [task])) for task in tasks]
