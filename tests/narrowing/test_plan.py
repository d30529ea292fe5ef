"""Plans for golden weights: they count what they say, and keep what must stay."""

from __future__ import annotations

import re

import pytest

from moceir_edge.errors import PlanError
from moceir_edge.narrowing.apply import cut_network
from moceir_edge.narrowing.costs import COUNTS, Unit, cost_table
from moceir_edge.narrowing.options import Part, parts, trunk, widths
from moceir_edge.narrowing.plan import NarrowingPlan, Width, least_cost, plan_narrowing
from moceir_edge.narrowing.spaces import SpaceKind
from moceir_edge.narrowing.statistics import measure_statistics
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.golden import golden_state
from moceir_edge.network.network import MoceIR
from tests.golden import drawn_pictures

DEEP = build_architecture(16, (2, 2, 1), 3, (1, 1, 1), refinement_blocks=2)
"""Small, with blocks to spare."""


@pytest.fixture(scope="module")
def network() -> MoceIR:
    """Golden weights."""
    network = MoceIR(DEEP)
    network.load_state_dict(golden_state(network))
    return network.eval()


Parts = tuple[tuple[Part, ...], dict[int, dict[str, tuple[int, ...]]]]


@pytest.fixture(scope="module")
def measured(network: MoceIR) -> Parts:
    """Parts, and the trunk at two widths."""
    statistics = measure_statistics(network, list(drawn_pictures(6).split(1)))
    kept = {width: trunk(DEEP, statistics, width) for width in (16, 8)}
    return parts(DEEP, statistics, multiple=8), kept


@pytest.fixture(scope="module", params=[Unit.MACS, Unit.PARAMETERS])
def unit(request: pytest.FixtureRequest) -> Unit:
    """What is counted."""
    return Unit(request.param)


@pytest.fixture(scope="module")
def tables(measured: Parts, unit: Unit) -> dict[int, Width]:
    """Costs at two widths of the trunk."""
    found, kept = measured
    return {width: Width(channels, cost_table(DEEP, channels, found, unit)) for width, channels in kept.items()}


def planned(found: tuple[Part, ...], tables: dict[int, Width], unit: Unit, share: float) -> tuple[NarrowingPlan, ...]:
    """Plans for a share of the whole."""
    budget = int(share * tables[16].costs.whole)
    return plan_narrowing(DEEP, found, tables, unit=unit, budget=budget)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4])
def test_a_plan_costs_what_it_says(
    network: MoceIR,
    measured: Parts,
    tables: dict[int, Width],
    unit: Unit,
    share: float,
) -> None:
    """Counted in the network that is cut by it; norms of blocks that go are on top. And it uses up its budget."""
    for plan in planned(measured[0], tables, unit, share):
        narrow, _, _ = cut_network(network, plan)
        counted = sum(COUNTS[unit](narrow).values())
        assert counted == plan.cost <= plan.budget
        assert plan.cost_before == sum(COUNTS[unit](network).values())
        assert plan.cost > 0.9 * plan.budget or plan.error == 0
        assert narrow.architecture.width == plan.trunk


def test_less_costs_more(measured: Parts, tables: dict[int, Width], unit: Unit) -> None:
    """Error for a smaller budget, at the same width."""
    errors = [planned(measured[0], tables, unit, share)[-1].error for share in (1.0, 0.6, 0.4, 0.3)]
    assert errors == sorted(errors)
    assert errors[-1] > 0
    whole = planned(measured[0], tables, unit, 1.0)[0]
    assert (whole.trunk, whole.error, whole.dropped, whole.kept) == (16, 0, (), {})


def test_the_smallest_that_can_be_reached(
    network: MoceIR,
    measured: Parts,
    tables: dict[int, Width],
    unit: Unit,
) -> None:
    """It is named, it can be had, and every stack has a block in it."""
    with pytest.raises(PlanError, match=f"1,000 {unit} cannot be reached: the smallest is ") as refused:
        plan_narrowing(DEEP, measured[0], tables, unit=unit, budget=1000)
    named = re.search(r"is ([\d,]+)", refused.value.what)
    assert named is not None
    smallest = int(named.group(1).replace(",", ""))
    assert smallest == least_cost(DEEP, measured[0], tables)
    (plan,) = plan_narrowing(DEEP, measured[0], tables, unit=unit, budget=smallest)
    assert plan.cost == smallest
    narrow, _, _ = cut_network(network, plan)
    assert [len(stack.layers) for stack, _ in narrow.enc] == [1, 1, 1]
    assert (len(narrow.latent.layers), len(narrow.refinement.layers)) == (1, 1)
    assert len(plan.text.splitlines()) > len(plan.dropped)


def test_widths_are_multiples() -> None:
    """From the whole down; where a part is no wider than the multiple, half of that."""
    assert widths(256, 16) == (256, 224, 192, 160, 128, 96, 64, 32)
    assert widths(64, 16) == (64, 48, 32, 16)
    assert widths(16, 16) == (16, 8)
    assert widths(4, 8) == (4,)


def test_heads_go_too(measured: Parts) -> None:
    """An attention may lose heads or channels of all heads, and keeps equally many of each."""
    attention = next(part for part in measured[0] if part.name == "latent.layers.0.mixer")
    assert attention.kind is SpaceKind.ATTENTION
    assert {option.heads for option in attention.options} == {8, 4, 2, 1}
    for option in attention.options:
        (kept,) = option.kept.values()
        heads = {head: sum(channel // 16 == head for channel in kept) for head in range(8)}
        assert sorted(heads.values()) == [0] * (8 - option.heads) + [option.channels // option.heads] * option.heads
    assert attention.options[0].error == 0
    assert all(option.error <= attention.error_without * 1.001 for option in attention.options)
