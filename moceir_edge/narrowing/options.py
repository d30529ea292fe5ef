"""How far each part of a network can be narrowed, which channels stay then, and what is lost in the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from moceir_edge.narrowing.order import Elimination
from moceir_edge.narrowing.spaces import Space, SpaceKind, spaces
from moceir_edge.narrowing.statistics import Array, LayerStatistics
from moceir_edge.network.architecture import Architecture

STEPS = 8
"""Of a width, where its multiple leaves so many."""

Statistics = Mapping[str, LayerStatistics]


class Option(NamedTuple):
    """One width of a part: what stays of each of its spaces, and the mean squared error of the picture it leaves."""

    channels: int
    heads: int
    kept: Mapping[str, tuple[int, ...]]
    error: float


@dataclass(frozen=True)
class Part:
    """A feed-forward, an attention or an expert, with its options, the whole one first.

    error_without: the mean squared error of the picture without all of it.
    """

    name: str
    kind: SpaceKind
    options: tuple[Option, ...]
    error_without: float


def parts(architecture: Architecture, statistics: Statistics, *, multiple: int) -> tuple[Part, ...]:
    """Every part that can be narrowed; widths are multiples of `multiple`, or of half of it where a part is no wider.

    An expert that no picture was routed to stays whole: nothing is known of it.
    """
    found = []
    experts: dict[str, list[Space]] = {}
    for space in spaces(architecture):
        if space.kind is SpaceKind.EXPERT:
            experts.setdefault(space.name.rsplit(".", 1 if space.name.endswith("body") else 2)[0], []).append(space)
        elif space.kind is not SpaceKind.TRUNK:
            reader = statistics[f"{space.name}.project_out"]
            choose = _attention if space.kind is SpaceKind.ATTENTION else _feed_forward
            options = tuple(choose(space, reader, multiple))
            found.append(Part(space.name, space.kind, options, Elimination(reader).cost(range(space.size))))
    for name, together in experts.items():
        every = tuple(_expert(together, statistics, multiple))
        options = every if statistics[f"{name}.0.proj.2"].seen else every[:1]
        without = float(space_importance(together[-1], statistics).sum())
        found.append(Part(name, SpaceKind.EXPERT, options, without))
    return tuple(found)


def widths(size: int, multiple: int) -> tuple[int, ...]:
    """The whole width, and down from it in multiples, `STEPS` of them or a little more."""
    grain = multiple if size > multiple else max(1, multiple // 2)
    wanted = (size * step / STEPS for step in range(STEPS, 0, -1))
    return tuple(dict.fromkeys((size, *(min(size, max(grain, round(each / grain) * grain)) for each in wanted))))


def _feed_forward(space: Space, reader: LayerStatistics, multiple: int) -> Iterator[Option]:
    elimination = Elimination(reader)
    for width in widths(space.size, multiple):
        while len(elimination.left) > width:
            elimination.remove([elimination.cheapest(elimination.left)])
        yield _option(space, elimination, heads=1)


def _attention(space: Space, reader: LayerStatistics, multiple: int) -> Iterator[Option]:
    """Heads go first, the cheapest of them; then one channel of every head that is left, in turn."""
    per_head = space.size // space.heads
    elimination, heads = Elimination(reader), list(range(space.heads))
    while True:
        inside = elimination.copy()
        for width in widths(per_head * len(heads), max(multiple, len(heads))):
            if width % len(heads) or width > per_head * len(heads):
                continue
            while len(inside.left) > width:
                for head in heads:
                    inside.remove([inside.cheapest([c for c in inside.left if c // per_head == head])])
            yield _option(space, inside, heads=len(heads))
        if len(heads) == 1:
            return
        for _ in range(len(heads) // 2):
            groups = {head: [channel for channel in elimination.left if channel // per_head == head] for head in heads}
            cheapest = min(heads, key=lambda head: elimination.cost(groups[head]))
            elimination.remove(groups[cheapest])
            heads.remove(cheapest)


def _option(space: Space, elimination: Elimination, *, heads: int) -> Option:
    kept = tuple(sorted(elimination.left))
    return Option(len(kept), heads, {space.name: kept}, elimination.lost)


def _expert(together: Sequence[Space], statistics: Statistics, multiple: int) -> Iterator[Option]:
    importances = [space_importance(space, statistics) for space in together]
    for width in widths(together[0].size, multiple):
        kept = {}
        error = 0.0
        for space, importance in zip(together, importances, strict=True):
            order = np.argsort(importance, kind="stable")
            error += float(importance[order[: space.size - width]].sum())
            kept[space.name] = tuple(sorted(int(channel) for channel in order[space.size - width :]))
        yield Option(width, 1, kept, error)


def trunk(architecture: Architecture, statistics: Statistics, width: int) -> dict[str, tuple[int, ...]]:
    """The channels of every trunk space that stay where the first level has `width` of them."""
    kept = {}
    for space in spaces(architecture):
        if space.kind is not SpaceKind.TRUNK:
            continue
        units = space_importance(space, statistics).reshape(-1, space.unit).sum(1)
        count = space.size * width // (architecture.width * space.unit)
        chosen = np.sort(np.argsort(-units, kind="stable")[:count])
        kept[space.name] = tuple(int(unit * space.unit + i) for unit in chosen for i in range(space.unit))
    return kept


def space_importance(space: Space, statistics: Statistics) -> Array:
    """(size,): of each channel, summed over the layers that read it.

    Where none of them reaches the picture (the guard of a folded gate), the power of what they read.
    """
    total, energies = np.zeros(space.size), np.zeros(space.size)
    for reader in space.readers:
        layer = statistics.get(reader.tensor.removesuffix(".weight"))
        if layer is not None:
            positions = reader.positions(range(space.size))
            total += layer.importance[positions]
            energies += np.diagonal(layer.products)[positions]
    return total if total.any() else energies
