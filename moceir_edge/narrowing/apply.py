"""Acting on a narrowing plan: the network is cut as it says, and what stays is refitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from moceir_edge.data.dataset import Dataset
from moceir_edge.narrowing.cut import Kept, cut_channels, drop_blocks, earlier_name
from moceir_edge.narrowing.plan import NarrowingPlan
from moceir_edge.narrowing.repair import Recorded, repair
from moceir_edge.narrowing.spaces import spaces
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.terms import Task


def cut_network(network: MoceIR, plan: NarrowingPlan) -> tuple[MoceIR, Kept, dict[str, str]]:
    """The network as planned, not refitted; the channels that stay by its spaces' names; and see `drop_blocks`."""
    before: dict[str, str] = {}
    if plan.dropped:
        network, before = drop_blocks(network, plan.dropped)
    kept = _renamed(network, plan.kept, before)
    return cut_channels(network, kept), kept, before


def apply_narrowing(network: MoceIR, plan: NarrowingPlan, recorded: Recorded, images: Tensor) -> MoceIR:
    """The narrow network, refitted over a batch (N, 3, H, W) of which the whole network was `recorded`."""
    narrowed, kept, before = cut_network(network, plan)
    repair(narrowed, recorded, images, whole=network.architecture, kept=kept, before=before)
    return narrowed


def narrow_model(
    source: LoadedModel, network: MoceIR, plan: NarrowingPlan, *, choosing: Dataset, tasks: Sequence[Task], path: Path
) -> LoadedModel:
    """What was made of a model, with where it comes from; path: where it is written."""
    notes = {
        "model_sha256": source.sha256,
        "choosing_sha256": choosing.sha256,
        **plan.model_dump(mode="json", exclude={"kept", "parts"}),
    }
    return LoadedModel(network, str(path), {**source.provenance, "tasks": list(tasks), "narrowing": notes})


def _renamed(network: MoceIR, kept: Mapping[str, tuple[int, ...]], before: Mapping[str, str]) -> Kept:
    named = {space.name: earlier_name(space.name, before) for space in spaces(network.architecture)}
    return {name: kept[earlier] for name, earlier in named.items() if earlier in kept}
