"""Where long work keeps the results of its parts, so that work which was killed goes on from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from moceir_edge.records import Record

R = TypeVar("R", bound=Record)


class Keeper(Protocol):
    """Runs a part, or takes its result from before."""

    def stage(self, name: str, inputs: Mapping[str, Any], kind: type[R], action: Callable[[], R]) -> R:
        """inputs: plain data that decides the result of `action`, a `kind`."""
        ...


class Forgetful:
    """A keeper that keeps nothing."""

    def stage(self, name: str, inputs: Mapping[str, Any], kind: type[R], action: Callable[[], R]) -> R:
        """See `Keeper`."""
        del name, inputs, kind
        return action()


@dataclass(frozen=True)
class Within:
    """A keeper of parts of one thing: their names begin with its name, and what decides it decides them."""

    keeper: Keeper
    name: str
    inputs: Mapping[str, Any]

    def stage(self, name: str, inputs: Mapping[str, Any], kind: type[R], action: Callable[[], R]) -> R:
        """See `Keeper`."""
        return self.keeper.stage(f"{self.name}-{name}", {**self.inputs, **inputs}, kind, action)
