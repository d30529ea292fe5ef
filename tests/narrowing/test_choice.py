"""The least error within a budget."""

from __future__ import annotations

from itertools import product

import numpy as np

from moceir_edge.narrowing.choice import Priced, choose

Items = dict[str, list[Priced]]


def drawn(seed: int, *, items: int = 5, options: int = 4) -> Items:
    """Options that cost less and lose more."""
    random = np.random.default_rng(seed)
    found: Items = {}
    for number in range(items):
        costs = np.sort(random.integers(1, 100, options))[::-1]
        errors = np.sort(random.random(options) ** 3)
        found[str(number)] = [Priced(int(c), float(e)) for c, e in zip(costs, errors - errors[0], strict=True)]
    return found


def sums(items: Items, chosen: dict[str, int]) -> tuple[int, float]:
    """Cost and error."""
    picked = [items[name][index] for name, index in chosen.items()]
    return sum(option.cost for option in picked), sum(option.error for option in picked)


def test_it_fits_and_is_near_the_best() -> None:
    """Against every combination: never over the budget, and at most a seventh of the range above the least error."""
    worse = []
    for seed in range(20):
        items = drawn(seed)
        whole = sum(options[0].cost for options in items.values())
        least = sum(options[-1].cost for options in items.values())
        budget = (whole + least) // 2
        chosen = choose(items, budget)
        assert chosen is not None
        cost, error = sums(items, chosen)
        every = [sums(items, dict(zip(items, indices, strict=True))) for indices in product(range(4), repeat=5)]
        best = min(other for spent, other in every if spent <= budget)
        assert cost <= budget
        worse.append((error - best) / max(other for _, other in every))
    assert max(worse) < 0.15
    assert np.median(worse) < 0.01


def test_all_of_the_budget_keeps_everything_and_too_little_nothing() -> None:
    """Nothing goes that need not."""
    items = drawn(0)
    whole = sum(options[0].cost for options in items.values())
    least = sum(min(option.cost for option in options) for options in items.values())
    assert choose(items, whole) == dict.fromkeys(items, 0)
    assert choose(items, least - 1) is None
    smallest = choose(items, least)
    assert smallest is not None
    assert sums(items, smallest)[0] == least


def test_what_is_left_over_is_spent() -> None:
    """The price alone would take both or none."""
    items = {"a": [Priced(10, 0.0), Priced(5, 1.0)], "b": [Priced(10, 0.0), Priced(5, 1.0)]}
    chosen = choose(items, 15)
    assert chosen is not None
    assert sorted(chosen.values()) == [0, 1]
