"""Which channels go first, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.narrowing.order import Elimination
from moceir_edge.narrowing.statistics import LayerStatistics


@pytest.fixture
def statistics() -> LayerStatistics:
    """Of a layer of 4 outputs that reads 6 channels; channel 5 is nearly 2 times channel 1."""
    random = np.random.default_rng(0)
    read = random.standard_normal((4000, 6)) * [1, 2, 1, 0.5, 3, 1]
    read[:, 5] = 2 * read[:, 1] + 0.01 * random.standard_normal(4000)
    weight = random.standard_normal((4, 6, 1))
    return LayerStatistics(read.T @ read / len(read), random.random(4), weight)


def refitted(statistics: LayerStatistics, left: list[int]) -> float:
    """The error of the best fit with the channels that are left, straight from the normal equations."""
    products, weight = statistics.products, statistics.weight[:, :, 0]
    fitted = np.linalg.solve(products[np.ix_(left, left)], products[left] @ weight.T).T
    change = weight.copy()
    change[:, left] -= fitted
    return float(np.einsum("o,oi,ij,oj->", statistics.gains, change, products, change))


def test_what_is_lost_is_the_error_of_the_best_fit(statistics: LayerStatistics) -> None:
    """After every removal, to the damping."""
    elimination = Elimination(statistics)
    while len(elimination.left) > 1:
        elimination.remove([elimination.cheapest(elimination.left)])
        assert elimination.lost == pytest.approx(refitted(statistics, elimination.left), rel=0.03, abs=0.01)


def test_what_others_can_say_goes_first(statistics: LayerStatistics) -> None:
    """Channel 1 and channel 5 are large, and one of them costs next to nothing."""
    elimination = Elimination(statistics)
    assert elimination.cheapest(elimination.left) in (1, 5)
    elimination.remove([elimination.cheapest(elimination.left)])
    assert elimination.lost < 0.01
    assert elimination.cheapest(elimination.left) not in (1, 5)


def test_a_group_costs_what_its_channels_cost_together(statistics: LayerStatistics) -> None:
    """And a copy goes its own way."""
    elimination = Elimination(statistics)
    other = elimination.copy()
    cost = elimination.cost([1, 5])
    elimination.remove([1, 5])
    assert elimination.lost == pytest.approx(cost) == pytest.approx(refitted(statistics, [0, 2, 3, 4]), rel=0.03)
    assert cost > 10 * min(other.cost([1]), other.cost([5]))
    assert (other.lost, other.left) == (0.0, list(range(6)))
