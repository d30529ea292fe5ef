"""How weights are stored: measured alone, chosen for their bytes, simulated together, and kept within the limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from moceir_edge.compress import stored_weights
from moceir_edge.compress.crops import Crop, restored_crops
from moceir_edge.compress.placement import Placed
from moceir_edge.compress.safety import Allowed
from moceir_edge.compress.stored_weights import Storage, Stored, storable
from moceir_edge.compress.weight_plan import (
    WeightPlan,
    measure_storage,
    plan_in_8_bits,
    smallest_plan,
    with_parity,
    with_planned_weights,
)
from moceir_edge.keeping import Forgetful
from moceir_edge.metrics import residual_snr_db
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import QuantizeOptions
from moceir_edge.runner import ProgramRunner
from tests.golden import drawn_pictures
from tests.targets.networks import small_network

STORAGE = Storage(half=True, blocks=False)
ANYTHING = 100.0


@pytest.fixture(autouse=True)
def _small_weights_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of the small network are smaller than what is worth it elsewhere."""
    monkeypatch.setattr(stored_weights, "SMALLEST", 64)


@pytest.fixture(scope="module")
def program() -> Program:
    """A small network."""
    return lower(small_network())


@pytest.fixture(scope="module")
def crops() -> list[Crop]:
    """Two crops (1, 3, 32, 32)."""
    return [Crop(picture[None].numpy(), task="derain") for picture in drawn_pictures(2, height=32, width=32)]


def planned(program: Program, crops: list[Crop], snr_db: float, **options: object) -> WeightPlan:
    """The smallest plan with a residual SNR."""
    return smallest_plan(
        program,
        crops,
        QuantizeOptions.model_validate({"crop": 32, **options}),
        STORAGE,
        allowed=Allowed(residual_snr_db=snr_db, mean_loss_db=ANYTHING, worst_loss_db=ANYTHING, safety_db=3.0),
        parity_db=None,
        keeper=Forgetful(),
    )


def test_plan_keeps_its_distance_from_the_limit(program: Program, crops: list[Crop]) -> None:
    """What is simulated as a whole is what the program with these weights does, safely above the limit."""
    plan = planned(program, crops, 20.0)
    assert plan.simulated is not None
    runner = ProgramRunner(StaticNetwork(with_planned_weights(program, plan), half=True))
    references = restored_crops(program, crops)
    measured = [
        residual_snr_db(crop.image[0], reference[0], runner.run(crop.image[0]).restored)
        for crop, reference in zip(crops, references, strict=True)
    ]
    assert min(measured) == pytest.approx(plan.simulated.residual_snr_db, abs=0.01)
    assert plan.simulated.residual_snr_db >= 23.0
    assert plan.size_bytes < 0.6 * plan.float_bytes


def test_stricter_limits_take_more_bytes(program: Program, crops: list[Crop]) -> None:
    """From 4-bit palettes nearly everywhere to floats nearly everywhere, with the reason of each layer in the plan."""
    loose, middle, strict = (planned(program, crops, snr_db) for snr_db in (5.0, 25.0, 90.0))
    assert loose.size_bytes < middle.size_bytes < strict.size_bytes <= strict.float_bytes
    assert Counter(loose.stored.values()).most_common(1)[0][0] is Stored.PALETTE_4
    assert strict.size_bytes > 0.8 * strict.float_bytes
    assert {layer.name for layer in strict.layers} == {op.name for op in storable(program)}
    assert all("dB below" in layer.reason for layer in middle.layers)


def test_a_layer_that_hurts_keeps_more_bits(program: Program, crops: list[Crop]) -> None:
    """Among layers of equal size the loudest has at least as many bits as the quietest."""
    plan = planned(program, crops, 25.0)
    quiet, loud = (
        choose((layer for layer in plan.layers if layer.float_cost == 128.0), key=_harm(program, crops))
        for choose in (min, max)
    )
    assert loud.chosen.cost >= quiet.chosen.cost


def _harm(program: Program, crops: list[Crop]) -> Callable[[Placed], float]:
    effects = measure_storage(program, storable(program), crops[0], STORAGE)
    return lambda layer: effects.by_group[layer.name][Stored.PALETTE_4].noise


def test_fewer_bits_make_more_noise(program: Program, crops: list[Crop]) -> None:
    """Over all layers a 4-bit palette is louder than a 6-bit one, and that louder than 8 bits."""
    effects = measure_storage(program, storable(program), crops[0], STORAGE)
    noise = {stored: sum(found[stored].noise for found in effects.by_group.values()) for stored in Stored}
    assert noise[Stored.LINEAR_8] < noise[Stored.PALETTE_6] < noise[Stored.PALETTE_4]


def test_what_the_recipe_keeps_is_kept_and_told(program: Program, crops: list[Crop]) -> None:
    """keep_float names layers whose weights stay floats, as for int8."""
    plan = planned(program, crops, 5.0, keep_float=["ffn"])
    kept = {op.name for op in storable(program) if "ffn" in op.name}
    assert kept
    assert not kept & plan.stored.keys()
    assert kept <= {note.what for note in plan.skipped}


def test_parity_raises_the_residual_snr_that_is_needed() -> None:
    """50 dB of parity on a crop to which -20 dB are added is 30 dB of residual SNR, where that is more."""
    crop = Crop(np.zeros((1, 3, 8, 8), np.float32))
    reference = np.full((1, 3, 8, 8), 0.1, np.float32)
    allowed = Allowed(residual_snr_db=10.0, mean_loss_db=1.0, worst_loss_db=1.0)
    assert with_parity(allowed, [crop], [reference], parity_db=50.0).residual_snr_db == pytest.approx(30.0)
    assert with_parity(allowed, [crop], [reference], parity_db=25.0).residual_snr_db == 10.0
    assert with_parity(allowed, [crop], [reference], parity_db=None) is allowed


def test_8_bits_everywhere_need_no_pictures(program: Program) -> None:
    """Half the bytes of every weight that is large enough, and the bytes of the others."""
    plan = plan_in_8_bits(program, STORAGE)
    assert set(plan.stored.values()) == {Stored.LINEAR_8}
    assert 0.5 * plan.float_bytes < plan.size_bytes < 0.9 * plan.float_bytes
    assert plan.skipped
