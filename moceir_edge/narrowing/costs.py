"""What a network costs, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from moceir_edge.compress.costs import SIZE
from moceir_edge.narrowing.cut import Kept, cut_architecture
from moceir_edge.narrowing.options import Part
from moceir_edge.network.architecture import Architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs_by_operation


class Unit(StrEnum):
    """MACs of the export at `SIZE`, trained values, or the measured time of the export at `SIZE`."""

    MACS = "macs"
    PARAMETERS = "parameters"
    MICROSECONDS = "microseconds"


def count_macs(network: MoceIR) -> Mapping[str, int]:
    """MACs by the operation's name."""
    return macs_by_operation(lower(network), *SIZE)


def count_parameters(network: MoceIR) -> Mapping[str, int]:
    """Trained values by the tensor's name."""
    return {name: parameter.numel() for name, parameter in network.named_parameters()}


COUNTS: Mapping[Unit, Callable[[MoceIR], Mapping[str, int]]] = {
    Unit.MACS: count_macs,
    Unit.PARAMETERS: count_parameters,
}


@dataclass(frozen=True)
class CostTable:
    """At one width of the trunk: what no option changes, and each option of each part, in the order of its options."""

    base: int
    parts: Mapping[str, tuple[int, ...]]

    @property
    def whole(self) -> int:
        """Everything with its first option."""
        return self.base + sum(costs[0] for costs in self.parts.values())


def cost_table(architecture: Architecture, trunk: Kept, parts: Sequence[Part], unit: Unit) -> CostTable:
    """Count networks in which every part has its first option, its second, and so on: parts do not meet in a layer."""
    found: dict[str, list[int]] = {part.name: [] for part in parts}
    base = 0
    for number in range(most_options(parts)):
        counts = COUNTS[unit](MoceIR(cut_architecture(architecture, with_options(trunk, parts, number))))
        by_part = {part.name: _inside(part.name, counts) for part in parts}
        base = sum(counts.values()) - sum(by_part.values())
        for part in parts:
            if number < len(part.options):
                found[part.name].append(by_part[part.name])
    return CostTable(base, {name: tuple(values) for name, values in found.items()})


def most_options(parts: Sequence[Part]) -> int:
    """That a part has."""
    return max(len(part.options) for part in parts)


def with_options(trunk: Kept, parts: Sequence[Part], number: int) -> dict[str, Sequence[int]]:
    """What stays when every part has its option of this number, or its last one."""
    kept = dict(trunk)
    for part in parts:
        kept |= part.options[min(number, len(part.options) - 1)].kept
    return kept


def _inside(name: str, counts: Mapping[str, int]) -> int:
    """A feed-forward with the norms of its block, which go with it."""
    block, _, last = name.rpartition(".")
    inside = (f"{name}.", f"{block}.norms.") if last == "ffn" else (f"{name}.",)
    return sum(count for key, count in counts.items() if key.startswith(inside))
