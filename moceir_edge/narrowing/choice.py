"""The least error within a budget: one option of every item, by a price on cost that is raised until it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

PRICES = 60
"""Halvings of the interval in which the price lies."""


class Priced(NamedTuple):
    """An option of an item: what it costs and the error that it leaves."""

    cost: int
    error: float


Items = Mapping[str, Sequence[Priced]]
Chosen = dict[str, int]
"""The index of the option of every item."""


def choose(items: Items, budget: int) -> Chosen | None:
    """The least sum of errors that the price finds with costs up to the budget; None where nothing fits.

    The first option of every item is the whole one: where all of them fit, nothing is taken away.

    At any price, each item by itself takes what is least in error + price * cost (Everett, 1963: Lagrange multipliers);
    what the budget leaves over goes to the improvements that fit, the largest first.
    """
    if sum(options[0].cost for options in items.values()) <= budget:
        return dict.fromkeys(items, 0)
    if sum(min(option.cost for option in options) for options in items.values()) > budget:
        return None
    low, high = 0.0, _highest_price(items)
    chosen = _at_price(items, high)
    for _ in range(PRICES):
        middle = (low + high) / 2
        tried = _at_price(items, middle)
        if _cost(items, tried) <= budget:
            chosen, high = tried, middle
        else:
            low = middle
    return _spend(items, chosen, budget - _cost(items, chosen))


def _highest_price(items: Items) -> float:
    """At which every item takes its cheapest option."""
    worst = max((option.error for options in items.values() for option in options), default=0.0)
    return 2 * worst + 1.0


def _at_price(items: Items, price: float) -> Chosen:
    return {
        name: min(range(len(options)), key=lambda i: (options[i].error + price * options[i].cost, options[i].cost))
        for name, options in items.items()
    }


def _cost(items: Items, chosen: Chosen) -> int:
    return sum(items[name][index].cost for name, index in chosen.items())


def _spend(items: Items, chosen: Chosen, left: int) -> Chosen:
    found = dict(chosen)
    while True:
        gains = [
            (now.error - option.error, -(option.cost - now.cost), name, index)
            for name, options in items.items()
            for now in [options[found[name]]]
            for index, option in enumerate(options)
            if option.error < now.error and option.cost - now.cost <= left
        ]
        if not gains:
            return found
        _, spent, name, index = max(gains)
        left += spent
        found[name] = index
