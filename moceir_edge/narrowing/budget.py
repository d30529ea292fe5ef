"""How small a narrow model is to be."""

from __future__ import annotations

from math import inf
from typing import Annotated, Self

from pydantic import Field

from moceir_edge.errors import InputError
from moceir_edge.narrowing.costs import Unit
from moceir_edge.records import Record


class Budget(Record):
    """One of three: a share of the MACs that stay, a number of parameters, or a latency in milliseconds."""

    macs: Annotated[float, Field(gt=0, le=1)] | None = None
    parameters: Annotated[int, Field(ge=1)] | None = None
    latency_ms: Annotated[float, Field(gt=0)] | None = None

    @classmethod
    def of(cls, *, macs: float | None, parameters: int | None, latency_ms: float | None) -> Self:
        """What was asked for; InputError unless that is one of the three, and possible."""
        if sum(value is not None for value in (macs, parameters, latency_ms)) != 1:
            raise InputError("a budget is one number", "give one of --keep-macs, --max-parameters, --max-latency-ms")
        if macs is not None and not 0 < macs <= 1:
            raise InputError(f"{macs:g} is no share of the MACs", "give a number above 0 and at most 1")
        if (parameters is not None and parameters < 1) or (latency_ms is not None and not 0 < latency_ms < inf):
            raise InputError("no model is of that size", "give a number above 0")
        return cls(macs=macs, parameters=parameters, latency_ms=latency_ms)

    @property
    def unit(self) -> Unit:
        """What is counted, or timed."""
        if self.latency_ms is not None:
            return Unit.MICROSECONDS
        return Unit.MACS if self.parameters is None else Unit.PARAMETERS

    def limit(self, whole: int) -> int:
        """Of what the whole network counts; not for a latency."""
        if self.parameters is not None:
            return self.parameters
        assert self.macs is not None
        return int(self.macs * whole)
