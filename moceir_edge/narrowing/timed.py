"""How plans were timed."""

from __future__ import annotations

from moceir_edge.records import Record


class Timed(Record):
    """A plan that was timed beside the whole network: width of its trunk, and milliseconds predicted and measured."""

    trunk: int
    predicted_ms: float
    latency_ms: float


class LatencySearch(Record):
    """A limit, the time of the whole network, and all plans that were timed; what says on what."""

    limit_ms: float
    whole_ms: float
    what: str
    timed: tuple[Timed, ...]
