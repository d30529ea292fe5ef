"""The cheapest choices within a budget of noise, on plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
import pytest

from moceir_edge.compress.group_costs import modelled_costs
from moceir_edge.compress.groups import Choice, groups_of
from moceir_edge.compress.placement import Budget, Option, Options, Placed, place
from moceir_edge.errors import GateError
from moceir_edge.program.program import Builder, Kind, Program


def group(
    name: str,
    *,
    cost: float = 0.5,
    noise_db: float = 30.0,
    share: float = 0.1,
    losses: Mapping[str, float] = MappingProxyType({}),
) -> Options:
    """Float of cost 1, or int8."""
    floats = Option(choice=Choice.FLOAT, integer=(), cost=1.0, noise=0.0, share=0.0, losses={})
    int8 = Option(
        choice=Choice.INT8,
        integer=(f"{name}.conv",),
        cost=cost,
        noise=10 ** (-noise_db / 10),
        share=share,
        losses=dict(losses),
    )
    return Options(name=name, options=(floats, int8))


def placed(
    groups: list[Options], *, residual_snr_db: float = 20.0, loss_db: float = 0.1, least_share: float = 0.0
) -> tuple[Placed, ...]:
    """What the groups become."""
    return place(groups, Budget(residual_snr_db=residual_snr_db, loss_db=loss_db), least_share=least_share)


def integer(groups: list[Options], **given: float) -> set[str]:
    """Names of the groups that go into integers."""
    return {found.name for found in placed(groups, **given) if found.chosen.choice is not Choice.FLOAT}


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
    slow, fast = placed(groups, least_share=0.2)
    assert "taken for the share" in slow.reason
    assert "costs 0.40 of float" in fast.reason
    assert "1.20 times as much as float" in placed(groups)[0].reason


def test_reasons_say_what_is_searched_for() -> None:
    """A plan of fp8 does not speak of int8 or integers."""
    budget = Budget(residual_snr_db=20.0, loss_db=0.1)
    groups = [group("slow", cost=1.2), group("loud", noise_db=15.0)]
    slow, loud = place(groups, budget, least_share=0.0, fewer="fp8")
    assert slow.reason.startswith("fp8 costs 1.20 times")
    assert loud.reason.startswith("fp8 would cost 0.50")
    [dear] = place([group("dear", cost=1.2)], budget, least_share=0.1, fewer="fp8")
    assert dear.reason.endswith("taken for the share of MACs in fp8")
    with pytest.raises(GateError, match="no placement of fp8 with 10% of the MACs in it"):
        place([group("loud", noise_db=15.0)], budget, least_share=0.1, fewer="fp8")


def test_a_loud_group_stays_in_float_with_the_reason() -> None:
    """Its noise alone is beyond the budget."""
    [loud, _] = placed([group("loud", noise_db=15.0), group("quiet")])
    assert loud.chosen.choice is Choice.FLOAT
    assert "15.0 dB below" in loud.reason


def test_losses_add_up_for_each_task() -> None:
    """0.06 dB of one task and 0.06 dB of another fit into 0.1 dB, twice the same does not; the reason says of what."""
    rain, haze = {"derain": 0.06, "dehaze": 0.0}, {"derain": 0.0, "dehaze": 0.06}
    assert integer([group("a", losses=rain), group("b", losses=haze)]) == {"a", "b"}
    assert integer([group("a", losses=haze), group("b", losses=haze, cost=0.4)]) == {"b"}
    assert integer([group("a", losses=haze), group("b", losses=haze)], loss_db=0.13) == {"a", "b"}
    assert "0.060 dB of dehaze lost" in placed([group("a", losses=haze)])[0].reason
    assert "lost" not in placed([group("a")])[0].reason


def test_a_budget_that_cannot_be_met_says_which_groups_cost_what() -> None:
    """Half of the MACs cannot be in integers within the noise."""
    groups = [group("a", noise_db=14.0), group("b", noise_db=12.0, losses={"derain": 0.2})]
    with pytest.raises(
        GateError, match=r"loudest alone: b: noise 12\.0 dB .*, 0\.200 dB of derain lost; a: .*14\.0 dB"
    ):
        placed(groups, least_share=0.1)
    with pytest.raises(GateError, match=r"its losses under 0\.10 dB"):
        placed([group("b", losses={"derain": 0.2})], least_share=0.1)


def test_no_more_is_asked_than_can_be() -> None:
    """Two groups of 10 % are all there is; the gate on the share has the last word."""
    assert integer([group("a", cost=1.2), group("b")], least_share=0.6) == {"a", "b"}


def test_the_plan_is_the_cheapest_of_all() -> None:
    """Against trying every combination, on drawn numbers."""
    draw = np.random.default_rng(0)
    for _ in range(5):
        groups = [
            group(
                str(i),
                cost=draw.uniform(0.2, 1.3),
                noise_db=draw.uniform(18, 35),
                share=draw.uniform(0, 0.2),
                losses={"derain": draw.uniform(0, 0.03)},
            )
            for i in range(9)
        ]
        allowed = [
            sum(option.cost for option in chosen)
            for chosen in product(*(found.options for found in groups))
            if sum(o.noise for o in chosen) <= 0.01
            and sum(o.share for o in chosen) >= 0.3
            and sum(o.losses.get("derain", 0.0) for o in chosen) <= 0.1
        ]
        if not allowed:
            continue
        assert sum(found.chosen.cost for found in placed(groups, least_share=0.3)) <= min(allowed) * (1 + 2e-3)


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
