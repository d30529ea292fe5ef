"""Groups of convolutions whose precision is decided together: an attention, a feed-forward, an adapter, or one alone.

Changing between floats and integers costs a pass over all pixels each way, so what is computed one after the other
belongs together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from moceir_edge.program.program import Kind, Operation, Program

_MODULE = re.compile(r".*?\.(mixer|ffn|adapter|shared)(?=\.)")


class Choice(StrEnum):
    """In what a group runs: all in floats, its dense convolutions in 8-bit integers, or the depthwise ones too.

    The chain keeps values in integers from one convolution to the next; on CPUs its kernels for depthwise convolutions
    are slower than those in float32 (0.2 - 0.8 x, measured), so it pays where memory is what a group waits for.
    """

    FLOAT = "float"
    INT8 = "int8"
    CHAIN = "int8-chain"


@dataclass(frozen=True)
class Group:
    """Convolutions by name, in running order; there is a dense one at least."""

    name: str
    dense: tuple[str, ...]
    depthwise: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What it can be."""
        return (Choice.FLOAT, Choice.INT8, *((Choice.CHAIN,) if self.depthwise else ()))

    def integer(self, choice: Choice) -> tuple[str, ...]:
        """Its convolutions in integers."""
        if choice is Choice.FLOAT:
            return ()
        return self.dense if choice is Choice.INT8 else (*self.dense, *self.depthwise)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """All of them."""
        return self.dense + self.depthwise


def module_of(name: str) -> str:
    """The module of the network that an operation belongs to, the operation itself where it stands alone."""
    found = _MODULE.match(name)
    return found.group() if found else name


def candidates(program: Program) -> tuple[Operation, ...]:
    """Convolutions outside the float32 islands."""
    return tuple(op for op in program.operations if op.kind is Kind.CONV and not op.exact)


def groups_of(program: Program, *, keep_float: Sequence[str] = ()) -> tuple[Group, ...]:
    """The groups in running order, without convolutions whose name matches one of the expressions."""
    dense: dict[str, list[str]] = defaultdict(list)
    depthwise: dict[str, list[str]] = defaultdict(list)
    for op in candidates(program):
        if not any(re.search(pattern, op.name) for pattern in keep_float):
            (dense if op.attributes["groups"] == 1 else depthwise)[module_of(op.name)].append(op.name)
    return tuple(Group(name, tuple(found), tuple(depthwise[name])) for name, found in dense.items())
