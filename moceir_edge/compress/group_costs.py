"""What the choices of a group cost: measured on the target where it is at hand, by a model of its kernels elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from moceir_edge.compress.groups import Choice, Group
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Kind, Program
from moceir_edge.records import Record

MODELLED = "float32 multiply-accumulates, by a model of int8 kernels"


class GroupCosts(Record):
    """Costs by group and choice, all in one unit; what: the unit and where it comes from, in words.

    busy: what made timings worth less, in words; empty where nothing did.
    """

    what: str
    by_group: dict[str, dict[Choice, float]]
    busy: str = ""

    @property
    def origin(self) -> str:
        """The unit, where it comes from, and what made it worth less."""
        return f"{self.what}, while {self.busy}" if self.busy else self.what


PAYS_FROM = 128
"""Products for each result from which int8 pays. Single convolutions in ONNX Runtime on AVX2, against float: 1x1 0.7
times as fast with 32 channels at 256 pixels, 1.0 with 64 at 128, 2.0 with 128 at 64, 2.3 to 4 with 256 at 32; with VNNI
1.2, 1.6, 2.4 and 2.6, and 2.8 for dense 3x3."""

BELOW, ABOVE = 1.2, 0.5
"""What a dense convolution costs in int8 against float, below `PAYS_FROM` and from there on."""

DEPTHWISE = 2.0
"""What a depthwise one costs: 0.2 to 0.8 times as fast."""


def modelled_costs(program: Program, groups: Sequence[Group], *, size: tuple[int, int]) -> GroupCosts:
    """Costs where nothing was measured: float32 multiply-accumulates for a picture of `size` (height, width), times a
    factor for an int8 kernel.
    """
    counts = macs_by_operation(program, *size)
    products = {op.name: op.constants["weight"][0].size for op in program.operations if op.kind is Kind.CONV}

    def factor(name: str, group: Group) -> float:
        if name in group.depthwise:
            return DEPTHWISE
        return ABOVE if products[name] >= PAYS_FROM else BELOW

    def cost(group: Group, choice: Choice) -> float:
        integer = group.integer(choice)
        return sum(counts[n] * (factor(n, group) if n in integer else 1.0) for n in group.convolutions)

    return GroupCosts(what=MODELLED, by_group={g.name: {c: cost(g, c) for c in g.choices} for g in groups})
