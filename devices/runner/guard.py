"""The guard: whether a picture is one of those that the model was made for, by the scores of its routers alone.

The rule is that of moceir_edge/guarding.py; tests/guard_vectors.json holds what all runners have to make of scores.
"""

from __future__ import annotations

import numpy as np


class Watched:
    """A back end that keeps the scores of all tiles of a picture, and gives them one route where that is decided.

    gates: (L, E), None where each tile's routers decide.
    """

    def __init__(self, backend, gates=None):
        self.backend, self.gates, self.tiles = backend, gates, []

    def run(self, image):
        """See `backend`."""
        outputs = self.backend.run(image) if self.gates is None else self.backend.run(image, self.gates)
        if "scores" in outputs:
            self.tiles.append(outputs["scores"])
        return outputs


def routing_distance(rule, tiles):
    """How far a picture's scores are from those of pictures that the model was made for; NaN where they are none.

    rule: `guard` of artifact.json. tiles: the scores (L, E) of each tile, one for a whole picture.
    """
    logs = [np.log(np.maximum(np.asarray(scores, np.float64), rule["floor"])).ravel() for scores in tiles]
    known = np.asarray(rule["pictures"], np.float64)
    distances = np.sort(np.sqrt(np.mean((known - np.mean(logs, axis=0)) ** 2, axis=1)))
    return float(distances[: rule["neighbours"]].mean())


def is_foreign(rule, distance):
    """Whether the picture is none of the model's; no number is foreign, too."""
    return not distance <= rule["threshold"]


def warning(rule, tiles, tasks):
    """What a person should know of a picture; None where all is well, or nothing gave scores."""
    if rule is None or not tiles:
        return None
    distance = routing_distance(rule, tiles)
    if not is_foreign(rule, distance):
        return None
    shown = "{:.2f}".format(distance) if np.isfinite(distance) else "no number"
    text = "looks like none of {}, which this model is for: routing distance {}, limit {:.2f}"
    return text.format(", ".join(tasks), shown, rule["threshold"])
