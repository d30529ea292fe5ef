"""A point from everything that was measured of it."""

from __future__ import annotations

from dataclasses import dataclass

from moceir_edge.frontiers.building import Built
from moceir_edge.frontiers.choosing import Measures
from moceir_edge.frontiers.losses import Loss
from moceir_edge.frontiers.measuring import Timed
from moceir_edge.frontiers.result import Point


@dataclass(frozen=True)
class MeasuredPoint:
    """A point before the choice; loss: on choosing pictures; bound_ms: on the device, where one was named."""

    built: Built
    timed: Timed
    measures: Measures
    loss: Loss
    bound_ms: float | None = None


def point_of(one: MeasuredPoint, beaten_by: str | None) -> Point:
    """The point as a result has it, not judged yet."""
    built, artifact = one.built, one.built.artifact
    return Point(
        name=built.name,
        share=built.share,
        recipe=built.recipe,
        target=artifact.target,
        precision=artifact.precision,
        model_sha256=built.model.sha256,
        artifact_sha256=built.sha256,
        size_bytes=artifact.counts.size_bytes,
        parameters=artifact.counts.parameters,
        macs=artifact.counts.macs,
        integer_share=artifact.counts.integer_share,
        ratio=one.timed.ratio,
        measured=one.measures,
        bound_ms=one.bound_ms,
        loss=one.loss,
        judged=None,
        beaten_by=beaten_by,
    )
