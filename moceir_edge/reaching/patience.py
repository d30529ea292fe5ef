"""How long a visit waits for what, and how often it tries again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from moceir_edge.records import Record

MISSED_BEATS = 3
"""Signs of life that are missed until a connection is taken for broken."""

Seconds = Annotated[float, Field(gt=0)]
WholeSeconds = Annotated[int, Field(gt=0)]


class Patience(Record):
    """Limits of a visit, in seconds.

    connect_s: until a device answers. step_s: a step that only looks or tidies up. check_s: the bundle's own check,
    which builds an engine on a Jetson. profile_s: the profile. least_kib_per_s: a slower upload has failed.
    attempts: how often in all, where a device drops out; before the next one backoff_s pass, then twice as much, and so
    on. beat_s: between two signs of life to the device; keep_s: how long it keeps everything without one.
    """

    connect_s: WholeSeconds = 15
    step_s: Seconds = 60
    check_s: Seconds = 1800
    profile_s: Seconds = 3600
    least_kib_per_s: Seconds = 16
    attempts: Annotated[int, Field(ge=1)] = 4
    backoff_s: Seconds = 5
    beat_s: WholeSeconds = 5
    keep_s: WholeSeconds = 300

    def upload_s(self, size_bytes: int) -> float:
        """The limit for so many bytes."""
        return self.step_s + size_bytes / 1024 / self.least_kib_per_s

    @property
    def silence_s(self) -> float:
        """The longest time between two signs of life of a visit that goes on: every attempt but the first fails."""
        return MISSED_BEATS * self.beat_s + sum(self.pauses_s()) + self.attempts * self.connect_s

    def pauses_s(self) -> Iterator[float]:
        """What passes before the second attempt, before the third, and so on."""
        for number in range(self.attempts - 1):
            yield self.backoff_s * 2**number
