"""What the first stages of a pipeline leave in its folder."""

from __future__ import annotations

from moceir_edge.compress.costs import GuardCost, SlimCosts
from moceir_edge.compress.prune import PruningPlan
from moceir_edge.records import Record
from moceir_edge.routing.evidence import EvidenceBound


class ModelFacts(Record):
    """The loaded model: model.json."""

    origin: str
    name: str
    sha256: str
    parameters: int
    expert_parameters: int
    layers: tuple[str, ...]


class DataFacts(Record):
    """Which pictures choose, which judge, which folders were skipped: data.json."""

    choosing_sha256: str
    judging_sha256: str
    choosing: tuple[str, ...]
    judging: tuple[str, ...]
    skipped: tuple[str, ...]


class SlimFacts(Record):
    """slim.json: the plan, what it saves, what the guard costs, and how far the evidence of judging reaches."""

    plan: PruningPlan
    model_sha256: str
    costs: SlimCosts
    guard: GuardCost | None
    bound: EvidenceBound
