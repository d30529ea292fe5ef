"""Narrowing as a decision: which blocks go and how wide every part stays, from counted costs and predicted errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moceir_edge.errors import PlanError
from moceir_edge.narrowing.choice import Priced, choose
from moceir_edge.narrowing.costs import CostTable, Unit
from moceir_edge.narrowing.cut import block_names
from moceir_edge.narrowing.options import Option, Part
from moceir_edge.network.architecture import Architecture
from moceir_edge.records import Record


class PartPlan(Record):
    """How wide a part stays, of how wide it was; heads of an attention; error: of the picture, mean squared, alone."""

    name: str
    kind: str
    channels: int
    before: int
    heads: int
    error: float


class NarrowingPlan(Record):
    """What goes. trunk: width of the first level, of how wide it was; kept: channels of every space, by its name.

    unit, cost, budget: what is counted, what the plan costs and may cost; error: the sum of its parts' errors.
    Names are those of the whole network; dropped blocks have no parts here.
    """

    unit: Unit
    budget: int
    cost: int
    cost_before: int
    trunk: int
    trunk_before: int
    dropped: tuple[str, ...]
    parts: tuple[PartPlan, ...]
    kept: dict[str, tuple[int, ...]]
    error: float

    @property
    def text(self) -> str:
        """The plan for people: a line for each part that gets narrower."""
        share = self.cost / self.cost_before
        trunk = f"trunk {self.trunk} of {self.trunk_before} channels"
        lines = [f"{self.unit}: {self.cost:,} of {self.cost_before:,} ({share:.3f}); {trunk}"]
        lines += [f"  {name}: the whole block goes" for name in self.dropped]
        for part in self.parts:
            if part.channels < part.before:
                heads = f", {part.heads} heads" if part.kind == "attention" else ""
                lines.append(f"  {part.name}: {part.channels} of {part.before} channels{heads}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Width:
    """A width of the first level: the channels of the trunk spaces that stay then, and what everything costs."""

    trunk: Mapping[str, tuple[int, ...]]
    costs: CostTable


def least_cost(architecture: Architecture, parts: Sequence[Part], widths: Mapping[int, Width]) -> int:
    """The smallest that any plan costs."""
    return min(_Planner(architecture, parts, width.costs).least for width in widths.values())


@dataclass(frozen=True)
class _Choice:
    """What can become of a block or a part; nothing is picked of a block that goes."""

    priced: Priced
    picked: Mapping[str, int]


def plan_narrowing(
    architecture: Architecture,
    parts: Sequence[Part],
    widths: Mapping[int, Width],
    *,
    unit: Unit,
    budget: int,
) -> tuple[NarrowingPlan, ...]:
    """A plan for every width of the first level with which the budget can be met, widest first.

    widths: at least the whole one. PlanError names the smallest that can be reached, where no plan is possible.
    """
    plans = []
    for width in sorted(widths, reverse=True):
        planner = _Planner(architecture, parts, widths[width].costs)
        chosen = planner.choose(budget)
        if chosen is not None:
            whole = widths[architecture.width].costs.whole
            plans.append(planner.plan(chosen, width, widths[width].trunk, unit=unit, budget=budget, whole=whole))
    if not plans:
        smallest, whole = least_cost(architecture, parts, widths), widths[architecture.width].costs.whole
        share = math.ceil(1000 * smallest / whole) / 1000
        reachable = f"the smallest is {smallest:,}, {share:.3f} of what it has"
        raise PlanError(f"{budget:,} {unit} cannot be reached: {reachable}", "ask for that, or more")
    return tuple(plans)


class _Planner:
    """At one width of the trunk."""

    def __init__(self, architecture: Architecture, parts: Sequence[Part], costs: CostTable) -> None:
        self.architecture, self.parts, self.costs = architecture, {part.name: part for part in parts}, costs
        self.stacks = [stack for stack in block_names(architecture) if len(stack) > 1]
        blocks = {block: (f"{block}.mixer", f"{block}.ffn") for stack in self.stacks for block in stack}
        inside = {name for names in blocks.values() for name in names}
        self.items = {name: self._widths((name,)) for name in self.parts if name not in inside}
        self.items |= {block: [*self._widths(names), self._without(names)] for block, names in blocks.items()}

    def _widths(self, names: Sequence[str]) -> list[_Choice]:
        found = [_Choice(Priced(0, 0.0), {})]
        for name in names:
            found = [
                _Choice(
                    Priced(one.priced.cost + self.costs.parts[name][index], one.priced.error + option.error),
                    {**one.picked, name: index},
                )
                for one in found
                for index, option in enumerate(self.parts[name].options)
            ]
        return found

    def _without(self, names: Sequence[str]) -> _Choice:
        return _Choice(Priced(0, sum(self.parts[name].error_without for name in names)), {})

    @property
    def least(self) -> int:
        """The smallest cost: one block is left in each stack."""
        inside = {block for stack in self.stacks for block in stack}
        cheapest = {name: min(c.priced.cost for c in choices if c.picked) for name, choices in self.items.items()}
        fixed = sum(cost for name, cost in cheapest.items() if name not in inside)
        return self.costs.base + fixed + sum(min(cheapest[block] for block in stack) for stack in self.stacks)

    def choose(self, budget: int) -> dict[str, _Choice] | None:
        """Of every item, so that each stack keeps a block; None where nothing fits."""
        return self._choose(self.items, budget - self.costs.base)

    def _choose(self, items: Mapping[str, list[_Choice]], budget: int) -> dict[str, _Choice] | None:
        chosen = choose({name: [choice.priced for choice in choices] for name, choices in items.items()}, budget)
        if chosen is None:
            return None
        found = {name: items[name][index] for name, index in chosen.items()}
        empty = next((stack for stack in self.stacks if not any(found[block].picked for block in stack)), ())
        if not empty:
            return found
        # One of them must stay: the one whose loss is largest, or one that still fits.
        for block in sorted(empty, key=lambda block: -found[block].priced.error):
            staying = {**items, block: [choice for choice in items[block] if choice.picked]}
            again = self._choose(staying, budget)
            if again is not None:
                return again
        return None

    def plan(
        self,
        chosen: Mapping[str, _Choice],
        width: int,
        trunk: Mapping[str, tuple[int, ...]],
        *,
        unit: Unit,
        budget: int,
        whole: int,
    ) -> NarrowingPlan:
        """The choices as a plan."""
        dropped = tuple(sorted(name for name, choice in chosen.items() if not choice.picked))
        picked = {name: index for choice in chosen.values() for name, index in choice.picked.items()}
        kept = dict(trunk) if width < self.architecture.width else {}
        rows = []
        for name, part in self.parts.items():
            if name in picked:
                option = part.options[picked[name]]
                kept |= option.kept if option.channels < part.options[0].channels else {}
                rows.append(_part_plan(part, option))
        return NarrowingPlan(
            unit=unit,
            budget=budget,
            cost=self.costs.base + sum(choice.priced.cost for choice in chosen.values()),
            cost_before=whole,
            trunk=width,
            trunk_before=self.architecture.width,
            dropped=dropped,
            parts=tuple(rows),
            kept=kept,
            error=sum(choice.priced.error for choice in chosen.values()),
        )


def _part_plan(part: Part, option: Option) -> PartPlan:
    return PartPlan(
        name=part.name,
        kind=part.kind,
        channels=option.channels,
        before=part.options[0].channels,
        heads=option.heads,
        error=option.error,
    )
