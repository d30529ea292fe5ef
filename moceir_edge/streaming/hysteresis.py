"""The route of a film: changed only when what speaks for another one persists.

Where two experts score nearly alike, noise alone makes a router go to and fro between frames, and the picture flickers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moceir_edge.runner import Image

PERSISTENCE = 5
"""Frames in a row in which a layer's router must want the same other expert: a fifth of a second of most films."""

FOLLOWING = 0.1
"""Share of the way that the gate of the held expert goes to its score in each frame: it follows light that changes."""


@dataclass(frozen=True)
class HeldRoute:
    """What the frames are given, and what speaks against it; all by routed layer.

    routes: (L,) expert held; gates: (L,) its weight; wanted: (L,) the expert that the last frame wanted; since: (L,)
    frames in a row in which it wanted that one; changes: how often a layer has changed its expert.
    """

    routes: NDArray[np.int64]
    gates: NDArray[np.float64]
    wanted: NDArray[np.int64]
    since: NDArray[np.int64]
    changes: int = 0

    def table(self, experts: int) -> Image:
        """(L, E) float32: the weight of each layer's expert in its place."""
        table = np.zeros((len(self.routes), experts), np.float32)
        table[np.arange(len(self.routes)), self.routes] = self.gates
        return table


def begin_route(chosen: Image) -> HeldRoute:
    """From what was used in a first pass. chosen: (L, E), one weight in each layer; 0 everywhere where none is used."""
    routes = chosen.argmax(1).astype(np.int64)
    return HeldRoute(routes, chosen.max(1).astype(np.float64), routes, np.zeros_like(routes))


def plan_route(held: HeldRoute, scores: Image, served: NDArray[np.bool_]) -> HeldRoute:
    """The route of the next frame. scores: (L, E) of this one's routers; served: (L, E) experts that may be chosen.

    A layer whose router has wanted the same other expert in `PERSISTENCE` frames in a row changes to it, with its
    score; elsewhere the gate follows the held expert's score. A layer with the weight 0, which no gate reaches, stays.
    """
    layers = np.arange(len(held.routes))
    wanted = np.where(served, scores, -1.0).argmax(1).astype(np.int64)
    since = np.where(wanted == held.wanted, held.since + 1, 1)
    since = np.where(wanted == held.routes, 0, since)
    changed = (since >= PERSISTENCE) & (held.gates > 0)
    routes = np.where(changed, wanted, held.routes)
    score = scores[layers, routes].astype(np.float64)
    gates = np.where(changed, score, held.gates + FOLLOWING * (score - held.gates))
    return HeldRoute(
        routes=routes,
        gates=np.where(held.gates > 0, gates, 0.0),
        wanted=wanted,
        since=np.where(changed, 0, since),
        changes=held.changes + int(changed.sum()),
    )
