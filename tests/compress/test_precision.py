"""Which convolutions run in 8 bits: simulated alone, chosen, and simulated together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from moceir_edge.compress import precision
from moceir_edge.compress.crops import Crop, restored_crops
from moceir_edge.compress.group_costs import modelled_costs
from moceir_edge.compress.groups import Choice, Group, groups_of
from moceir_edge.compress.placement import Budget, Option, Options, Placed
from moceir_edge.compress.precision import options_of, settle_plan
from moceir_edge.compress.ranges import Ranges, measure_ranges
from moceir_edge.compress.rounding import INT8, REDUCED_LEVELS, Floats8, Integers
from moceir_edge.compress.safety import SAFETY_DB, Allowed, Simulated, summed_up
from moceir_edge.compress.simulation import Effect, Effects, QuantizedNetwork, effect, measure_effects, simulate
from moceir_edge.errors import GateError
from moceir_edge.metrics import residual_snr_db
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Builder, Kind, Program
from tests.golden import drawn_pictures
from tests.targets.networks import small_network

SIZE = (32, 32)

ALLOWED = Allowed(residual_snr_db=10.0, mean_loss_db=0.1, worst_loss_db=0.5)


@pytest.fixture(scope="module")
def program() -> Program:
    """A small network."""
    return lower(small_network())


@pytest.fixture(scope="module")
def crops() -> list[Crop]:
    """Two crops (1, 3, 32, 32)."""
    return [Crop(picture[None].numpy(), task="derain") for picture in drawn_pictures(2, height=32, width=32)]


@pytest.fixture(scope="module")
def references(program: Program, crops: list[Crop]) -> list[NDArray[np.float32]]:
    """What it makes of them."""
    return restored_crops(program, crops)


@pytest.fixture(scope="module")
def ranges(program: Program, crops: list[Crop]) -> dict[str, Ranges]:
    """What its convolutions read and write."""
    return measure_ranges(program, crops, [1.0] * len(crops))


@pytest.fixture(scope="module")
def groups(program: Program) -> tuple[Group, ...]:
    """Its groups."""
    return groups_of(program)


@pytest.fixture(scope="module")
def effects(program: Program, groups: tuple[Group, ...], crops: list[Crop], ranges: dict[str, Ranges]) -> list[Effects]:
    """What int8 would do to each crop."""
    choices = {group: group.choices[1:] for group in groups}
    return [measure_effects(program, choices, crop, ranges) for crop in crops]


@pytest.fixture(scope="module")
def options(program: Program, groups: tuple[Group, ...], effects: list[Effects]) -> tuple[Options, ...]:
    """What they can be, by the model of costs."""
    return options_of(program, groups, effects, modelled_costs(program, groups, size=SIZE), size=SIZE)


def one_convolution(weight: float) -> Program:
    """restored = weight * image, channel by channel."""
    build = Builder()
    image = build.add(Kind.INPUT, "image")
    kernel = weight * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    build.add(Kind.CONV, "only", image, constants={"weight": kernel}, groups=1)
    return Program(tuple(build.operations), {"restored": "only"}, (), 0)


def test_rounding_is_to_symmetric_steps() -> None:
    """Input, weight and result lie on 127 steps on each side of zero; beyond the range it saturates."""
    ranges = {"only": Ranges(input=1.0, output=0.5)}
    network = QuantizedNetwork(one_convolution(0.5), ranges)
    image = torch.tensor([0.0, 1.0, 0.5, 0.26, 2.0, -0.3]).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    with torch.inference_mode():
        restored: Tensor = network(image)["restored"][0, 0, 0]
    steps = restored / (0.5 / 127)
    assert steps.tolist() == pytest.approx([0, 127, 64, 33, 127, -38], abs=1e-3)


def test_a_picture_of_zeros_makes_no_nan() -> None:
    """A black calibration picture has no range, and its convolution stays computable."""
    program = one_convolution(1.0)
    black = [Crop(np.zeros((1, 3, 8, 8), np.float32))]
    ranges = measure_ranges(program, black, [1.0])
    choices = {group: group.choices[1:] for group in groups_of(program)}
    silence = {"only": {Choice.INT8: Effect(noise=0.0, loss_db=None)}}
    assert measure_effects(program, choices, black[0], ranges).by_group == silence
    with torch.inference_mode():
        assert torch.isfinite(QuantizedNetwork(program, ranges)(torch.rand(1, 3, 8, 8))["restored"]).all()


def test_noise_is_that_of_one_group_alone(
    program: Program, groups: tuple[Group, ...], crops: list[Crop], ranges: dict[str, Ranges], effects: list[Effects]
) -> None:
    """Measured in one pass, equal to quantizing each by itself."""
    exact = StaticNetwork(program)
    for group, choice in [(each, choice) for each in groups[::4] for choice in each.choices[1:]]:
        alone = QuantizedNetwork(program, {name: ranges[name] for name in group.integer(choice)})
        for crop, found in zip(crops, effects, strict=True):
            with torch.inference_mode():
                image = torch.from_numpy(crop.image)
                snr = residual_snr_db(crop.image, *(net(image)["restored"].numpy() for net in (exact, alone)))
            assert found.by_group[group.name][choice].noise == pytest.approx(10 ** (-snr / 10), rel=1e-3)


def test_costs_and_shares_are_those_of_the_convolutions(options: tuple[Options, ...]) -> None:
    """Float is always one of them, and has nothing in integers."""
    assert {tuple(option.choice for option in group.options) for group in options} == {
        (Choice.FLOAT, Choice.INT8),
        (Choice.FLOAT, Choice.INT8, Choice.CHAIN),
    }
    assert all(group.options[0].share == 0 == group.options[0].noise for group in options)
    assert 0.5 < sum(group.largest_share for group in options) < 1


def planted(task: str, *, noise: float, loss_db: float | None, name: str) -> Effects:
    """The effects of int8 in one group."""
    return Effects(task=task, by_group={name: {Choice.INT8: Effect(noise=noise, loss_db=loss_db)}})


def test_noise_counts_on_the_loudest_crop_and_losses_by_task(program: Program, groups: tuple[Group, ...]) -> None:
    """A gain is no less of a change than a loss; a task without targets has none."""
    name = groups[0].name
    effects = [
        planted("derain", noise=0.01, loss_db=0.1, name=name),
        planted("derain", noise=0.02, loss_db=-0.3, name=name),
        planted("dehaze", noise=0.005, loss_db=-0.05, name=name),
        planted("deblur", noise=0.001, loss_db=None, name=name),
    ]
    [found] = options_of(program, groups[:1], effects, modelled_costs(program, groups, size=SIZE), size=SIZE)
    assert [option.choice for option in found.options] == [Choice.FLOAT, Choice.INT8]
    assert found.options[1].noise == 0.02
    assert found.options[1].losses == pytest.approx({"derain": 0.2, "dehaze": 0.05})
    assert (found.options[0].noise, found.options[0].losses) == (0.0, {})


def test_a_simulated_plan_is_summed_up() -> None:
    """The worst residual SNR, changes without sign in the mean of each task, and the largest."""
    image = np.zeros((1, 3, 8, 8), np.float32)
    crops = [Crop(image, task=task) for task in ("derain", "derain", "dehaze", "deblur")]
    numbers = ((1e-4, 0.1), (1e-3, -0.3), (1e-5, 0.02), (1e-2, None))
    found = summed_up(crops, [Effect(noise=noise, loss_db=loss) for noise, loss in numbers])
    assert found.residual_snr_db == pytest.approx(20.0)
    assert found.mean_change_db == pytest.approx({"derain": 0.2, "dehaze": 0.02})
    assert found.largest_change_db == 0.3


def test_budgets_shrink_with_their_margin() -> None:
    """Of both; what a crop tolerates is the smaller of what its noise and its loss may be."""
    loud, quiet = ALLOWED.budget(0.0), ALLOWED.budget(20.0)
    assert quiet.residual_snr_db - loud.residual_snr_db == 20.0
    assert loud.loss_db / quiet.loss_db == pytest.approx(10.0)
    image, restored = (np.full((1, 3, 8, 8), value, np.float32) for value in (0.0, 0.5))
    free = ALLOWED.tolerated(Crop(image), restored)
    assert free == pytest.approx(np.square(restored).sum() / 10)
    assert ALLOWED.tolerated(Crop(image, restored + np.float32(0.01)), restored) < free / 100


@pytest.mark.parametrize(
    ("possible_db", "safe_db", "tried", "chosen"),
    [
        (99.0, 9.0, [4, 8, 12], 12),
        (9.0, 99.0, [4, 8, 12, 10, 9, 9.5], 9),
        (99.0, 99.0, [4, 8, 12, 16, 20, 24], 24),
    ],
)
def test_budgets_are_tried_from_the_loudest(
    possible_db: float, safe_db: float, tried: list[float], chosen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until one is safe, or up to the quietest that is possible; the safest of them is taken."""
    asked: list[float] = []

    def place(options: object, budget: Budget, *, least_share: float, fewer: str) -> tuple[Placed, ...]:
        del options, least_share, fewer
        margin = budget.residual_snr_db - ALLOWED.residual_snr_db
        asked.append(margin)
        if margin > possible_db:
            raise GateError("impossible", "")
        option = Option(choice=Choice.INT8, integer=(), cost=margin, noise=0.0, share=0.5, losses={})
        return (Placed(name="only", chosen=option, float_cost=1.0, reason=""),)

    def simulate(*_: object, **__: object) -> list[Effect]:
        snr_db = asked[-1] + ALLOWED.residual_snr_db + SAFETY_DB - safe_db
        return [Effect(noise=10 ** (-snr_db / 10), loss_db=None)]

    monkeypatch.setattr(precision, "place", place)
    monkeypatch.setattr(precision, "simulate", simulate)
    crop = Crop(np.zeros((1, 3, 8, 8), np.float32))
    plan = settle_plan(one_convolution(1.0), (), {}, [crop], [crop.image], allowed=ALLOWED)
    assert asked == tried
    assert plan.groups[0].chosen.cost == chosen


def test_a_settled_plan_stays_above_the_gate(
    program: Program,
    crops: list[Crop],
    references: list[NDArray[np.float32]],
    ranges: dict[str, Ranges],
    options: tuple[Options, ...],
) -> None:
    """Simulated as a whole, by the safety margin; each group says what it is and why."""
    plan = settle_plan(program, options, ranges, crops, references, allowed=ALLOWED, least_share=0.3)
    together = simulate(program, plan.integer, crops, references, rounding=INT8)
    assert plan.simulated == summed_up(crops, together)
    assert plan.simulated.residual_snr_db >= 10.0 + SAFETY_DB
    assert plan.integer_share >= 0.3
    assert [group.name for group in plan.groups] == [group.name for group in options]
    assert all(group.reason for group in plan.groups)
    assert {item.what for item in plan.skipped} == {g.name for g in plan.groups if g.chosen.choice is Choice.FLOAT}


def test_an_impossible_plan_is_refused(
    program: Program,
    crops: list[Crop],
    references: list[NDArray[np.float32]],
    ranges: dict[str, Ranges],
    options: tuple[Options, ...],
) -> None:
    """No artifact is called int8 that is not."""
    allowed = ALLOWED.model_copy(update={"residual_snr_db": 80.0})
    for rounding in (INT8, Floats8()):
        with pytest.raises(GateError, match=f"no placement of {rounding.name} with 30% of the MACs in it"):
            settle_plan(
                program, options, ranges, crops, references, allowed=allowed, least_share=0.3, rounding=rounding
            )


def test_losses_are_signed_and_against_the_target(crops: list[Crop]) -> None:
    """After clipping; there is none without a target, or where what is left is nothing to see."""
    image = np.full_like(crops[0].image, 0.5)
    crop, unknown = Crop(image, image + np.float32(0.01)), Crop(image)
    lost, gained = (effect(crop, image, image + np.float32(step)) for step in (-0.001, 0.001))
    assert lost.loss_db == pytest.approx(20 * np.log10(1.1), abs=1e-3)
    assert gained.loss_db == pytest.approx(20 * np.log10(0.9), abs=1e-3)
    assert effect(unknown, image, image + np.float32(0.1)).loss_db is None
    assert crop.target is not None
    assert effect(crop, crop.target, crop.target).loss_db == 0


def test_reduced_weights_have_half_the_steps() -> None:
    """0.3 beside a weight of 1 is 38/127, and 19/63 with one bit less; nothing in integers is exact."""
    kernel = np.full((3, 3, 1, 1), 0.3, np.float32)
    kernel[:, 0] = 1.0
    build = Builder()
    build.add(Kind.CONV, "only", build.add(Kind.INPUT, "image"), constants={"weight": kernel}, groups=1)
    program = Program(tuple(build.operations), {"restored": "only"}, (), 0)
    image = torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1)
    ranges, step = {"only": Ranges(input=1.0, output=0.32)}, 0.32 / 127
    for rounding, weight in ((INT8, 38 / 127), (Integers(dense_levels=REDUCED_LEVELS), 19 / 63)):
        network = QuantizedNetwork(program, ranges, rounding=rounding)
        assert float(network(image)["restored"][0, 0, 0, 0]) == pytest.approx(round(weight / step) * step, abs=1e-6)
    crop = [Crop(image.numpy())]
    [nothing] = simulate(program, {}, crop, restored_crops(program, crop), rounding=INT8)
    assert nothing == Effect(noise=0.0, loss_db=None)


def test_slack_is_how_much_louder_it_could_be() -> None:
    """The least of all: 10 dB above the residual SNR, half of what may be lost in the mean and on the worst crop."""

    def slack(**given: object) -> float:
        quiet = {"residual_snr_db": 60.0, "mean_change_db": {}, "largest_change_db": None}
        return Simulated.model_validate(quiet | given).slack_db(ALLOWED)

    assert slack() == pytest.approx(60 - 10 - SAFETY_DB)
    assert slack(mean_change_db={"derain": 0.01, "dehaze": 0.05}, largest_change_db=0.0) == pytest.approx(0, abs=1e-9)
    assert slack(mean_change_db={"derain": 0.1}, largest_change_db=0.1) == pytest.approx(-6.02, abs=0.01)
    assert slack(largest_change_db=0.5) == pytest.approx(-6.02, abs=0.01)
    assert slack(residual_snr_db=17.0) == pytest.approx(7 - SAFETY_DB)


@pytest.mark.parametrize("loss_db", [-1000.0, 0.0, 1000.0])
def test_limits_that_allow_nothing_or_anything_can_be_computed_with(loss_db: float) -> None:
    """A plan that changes PSNR is beyond the first ones and within the last."""
    allowed = Allowed(residual_snr_db=10.0, mean_loss_db=loss_db, worst_loss_db=loss_db)
    changed = Simulated(residual_snr_db=60.0, mean_change_db={"derain": 0.01}, largest_change_db=0.01)
    assert (changed.slack_db(allowed) >= 0) == (loss_db > 0)
    crop = Crop(np.zeros((1, 3, 8, 8), np.float32), np.ones((1, 3, 8, 8), np.float32))
    assert allowed.tolerated(crop, crop.image + np.float32(0.5)) > 0
    assert allowed.budget(4.0).loss_db > 0
