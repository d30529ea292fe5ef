"""The cheapest choices within a budget of noise, on plain numbers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from moceir_edge.compress.group_costs import modelled_costs
from moceir_edge.compress.groups import Choice, groups_of
from moceir_edge.compress.placement import Option, Options, place
from moceir_edge.errors import GateError
from moceir_edge.program.program import Builder, Kind, Program


def group(name: str, *, cost: float = 0.5, noise_db: float = 30.0, share: float = 0.1) -> Options:
    """Float of cost 1, or int8."""
    numbers = {"integer": (f"{name}.conv",), "cost": cost, "noise": 10 ** (-noise_db / 10), "share": share}
    floats = Option(choice=Choice.FLOAT, integer=(), cost=1.0, noise=0.0, share=0.0)
    return Options(name=name, options=(floats, Option(choice=Choice.INT8, **numbers)))  # type: ignore[arg-type]


def integer(groups: list[Options], *, residual_snr_db: float = 20.0, least_share: float = 0.0) -> set[str]:
    """Names of the groups that go into integers."""
    placed = place(groups, residual_snr_db=residual_snr_db, least_share=least_share)
    return {found.name for found in placed if found.chosen.choice is not Choice.FLOAT}


def test_the_budget_goes_where_it_saves_most() -> None:
    """At 20 dB two of 23.1 dB fit, not three."""
    groups = [group("a", cost=0.9, noise_db=23.1), group("b", cost=0.1, noise_db=23.1), group("c", noise_db=23.1)]
    assert integer(groups) == {"b", "c"}


def test_noise_powers_add_up() -> None:
    """Ten of 30 dB are one of 20 dB: they fill a budget of 19.9 dB and not one of 20.1 dB."""
    groups = [group(f"op{i}") for i in range(10)]
    assert len(integer(groups, residual_snr_db=19.9)) == 10
    assert len(integer(groups, residual_snr_db=20.1)) == 9


def test_where_int8_is_slower_it_is_not_used() -> None:
    """Unless the share of MACs asks for it, which the reason says."""
    groups = [group("slow", cost=1.2), group("fast", cost=0.4)]
    assert integer(groups) == {"fast"}
    placed = place(groups, residual_snr_db=20.0, least_share=0.2)
    assert "taken for the share" in placed[0].reason
    assert "0.40 of float's cost" in placed[1].reason
    assert "1.20 times as much as float" in place(groups, residual_snr_db=20.0, least_share=0.0)[0].reason


def test_a_loud_group_stays_in_float_with_the_reason() -> None:
    """Its noise alone is beyond the budget."""
    [loud, _] = place([group("loud", noise_db=15.0), group("quiet")], residual_snr_db=20.0, least_share=0.0)
    assert loud.chosen.choice is Choice.FLOAT
    assert "15.0 dB below" in loud.reason


def test_a_budget_that_cannot_be_met_says_which_groups_cost_what() -> None:
    """Half of the MACs cannot be in integers within the noise."""
    with pytest.raises(GateError, match=r"no placement of int8 .* loudest alone: b 12\.0 dB, a 14\.0 dB"):
        place([group("a", noise_db=14.0), group("b", noise_db=12.0)], residual_snr_db=20.0, least_share=0.1)


def test_no_more_is_asked_than_can_be() -> None:
    """Two groups of 10 % are all there is; the gate on the share has the last word."""
    assert integer([group("a", cost=1.2), group("b")], least_share=0.6) == {"a", "b"}


def test_the_plan_is_the_cheapest_of_all() -> None:
    """Against trying every combination, on drawn numbers."""
    draw = np.random.default_rng(0)
    for _ in range(5):
        groups = [
            group(str(i), cost=draw.uniform(0.2, 1.3), noise_db=draw.uniform(18, 35), share=draw.uniform(0, 0.2))
            for i in range(9)
        ]
        allowed = [
            sum(option.cost for option in chosen)
            for chosen in product(*(found.options for found in groups))
            if sum(o.noise for o in chosen) <= 0.01 and sum(o.share for o in chosen) >= 0.3
        ]
        if not allowed:
            continue
        placed = place(groups, residual_snr_db=20.0, least_share=0.3)
        assert sum(found.chosen.cost for found in placed) <= min(allowed) * (1 + 2e-3)


def test_model_of_costs() -> None:
    """int8 pays from 128 products a result on, and not in depthwise convolutions."""
    build = Builder()
    image = build.add(Kind.INPUT, "image")
    few = build.add(Kind.CONV, "few", image, constants={"weight": np.ones((128, 3, 1, 1))}, groups=1)
    deep = build.add(Kind.CONV, "a.ffn.deep", few, constants={"weight": np.ones((128, 1, 3, 3))}, groups=128)
    build.add(Kind.CONV, "a.ffn.many", deep, constants={"weight": np.ones((3, 128, 1, 1))}, groups=1)
    program = Program(tuple(build.operations), {"restored": "a.ffn.many"}, (), 0)
    costs = modelled_costs(program, groups_of(program), size=(8, 8)).by_group
    dense, depthwise = 64 * 3 * 128, 64 * 128 * 9
    assert costs["few"] == {Choice.FLOAT: dense, Choice.INT8: pytest.approx(1.2 * dense)}
    assert costs["a.ffn"] == {
        Choice.FLOAT: dense + depthwise,
        Choice.INT8: 0.5 * dense + depthwise,
        Choice.CHAIN: 0.5 * dense + 2 * depthwise,
    }
