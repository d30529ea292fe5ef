"""In which order channels go, and what is lost with them: after each removal the layer that reads them makes up for it.

Optimal brain surgeon (Hassibi and Stork, 1993) on whole channels: without channel j, and with the others refitted, the
layer's output changes by W_j^2 / [H^-1]_jj, H being the mean of x x^T over what the layer reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moceir_edge.narrowing.statistics import LayerStatistics

DAMPING = 1e-5
"""Beside the mean power of what a layer reads."""


class Elimination:
    """Channels that a layer reads go, some at a time; `lost` adds up the mean squared error of the picture."""

    def __init__(self, statistics: LayerStatistics) -> None:
        products, weight = statistics.products, statistics.weight[:, :, 0]
        damping = DAMPING * max(float(np.diagonal(products).mean()), 1e-12)
        self.inverse = np.linalg.inv(products + damping * np.eye(len(products)))
        self.weight = np.sqrt(statistics.gains)[:, None] * weight
        self.left = list(range(len(products)))
        self.lost = 0.0

    def copy(self) -> Elimination:
        """Another one, from here on."""
        other = object.__new__(Elimination)
        other.inverse, other.weight = self.inverse.copy(), self.weight.copy()
        other.left, other.lost = list(self.left), self.lost
        return other

    def cheapest(self, among: Sequence[int]) -> int:
        """The channel that costs least."""
        scores = np.square(self.weight[:, among]).sum(0) / np.diagonal(self.inverse)[among]
        return among[int(scores.argmin())]

    def cost(self, group: Sequence[int]) -> float:
        """Of removing all of them."""
        columns = self.weight[:, group]
        return float(np.einsum("oi,oi->", columns, np.linalg.solve(self.inverse[np.ix_(group, group)], columns.T).T))

    def remove(self, group: Sequence[int]) -> None:
        """The others are refitted."""
        self.lost += max(0.0, self.cost(group))
        factor = np.linalg.solve(self.inverse[np.ix_(group, group)], self.inverse[group])
        self.weight = self.weight - self.weight[:, group] @ factor
        self.inverse = self.inverse - self.inverse[:, group] @ factor
        self.weight[:, group] = 0.0
        gone = set(group)
        self.left = [channel for channel in self.left if channel not in gone]
