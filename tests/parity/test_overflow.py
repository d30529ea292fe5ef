"""What float16 would have to hold is bounded, and kept in float32 where it is too much."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from moceir_edge.data.images import read_picture
from moceir_edge.data.stress import STRESS
from moceir_edge.demonstration import MODEL
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import MoceIR
from moceir_edge.parity.gates import STEP_PARITY_DB, STRESS_PARITY_DB
from moceir_edge.parity.overflow import Settled, bound_overflow, island_sizes, settle_islands
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.islands import FLOAT16_LARGEST
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.resources import resource
from moceir_edge.terms import Precision
from tests.parity.fakes import noise, plain


def program(
    kind: Kind, *, constants: Mapping[str, Any] | None = None, exact: bool = False, twice: bool = False, **more: Any
) -> Program:
    """One operation on the picture."""
    build = Builder()
    image = build.add(Kind.INPUT, "image")
    inputs = (image, image) if twice else (image,)
    build.add(kind, "only", *inputs, constants=constants, exact=exact, **more)
    return Program(tuple(build.operations), {"restored": "only"}, (), 0)


def test_a_sum_that_cancels_is_bounded_by_its_terms() -> None:
    """1000 x - 1000 x is 0, and float16 may still overflow on the way: sum |w||x| + |b|."""
    weight = np.array([1000.0, -1000.0, 0.0], np.float32).reshape(1, 3, 1, 1)
    given = program(Kind.CONV, constants={"weight": weight, "bias": np.array([-3.0])}, groups=1)
    bound = bound_overflow(given, plain(0.5))
    assert bound.bound == pytest.approx(1003.0)
    assert (bound.operation, bound.size) == ("only", (16, 24))


def test_a_product_is_bounded_by_its_terms() -> None:
    """|a| @ |b|, for a picture against itself."""
    image = noise(0, height=16, width=16) - np.float32(0.5)
    expected = float((np.abs(image) @ np.abs(image)).max())
    assert bound_overflow(program(Kind.MATMUL, twice=True), image).bound == pytest.approx(expected, rel=1e-3)


def test_other_results_are_bounded_by_their_size() -> None:
    """The largest magnitude."""
    assert bound_overflow(program(Kind.SUB, constants={"right": np.array(2.0)}), plain(0.5)).bound == pytest.approx(1.5)


def test_islands_do_not_count() -> None:
    """They stay in float32."""
    given = program(Kind.MUL, constants={"right": np.array(1e9)}, exact=True)
    bound = bound_overflow(given, plain(0.5))
    assert (bound.bound, bound.operation) == (0.0, "")


def test_more_than_float16_holds_is_found() -> None:
    """65504 is the end."""
    given = program(Kind.MUL, constants={"right": np.array(1e6)})
    assert bound_overflow(given, plain(0.5)).bound > FLOAT16_LARGEST


def test_a_whole_network_stays_far_below(golden_tiny: MoceIR) -> None:
    """The bound names an operation of the program."""
    lowered = lower(golden_tiny)
    bound = bound_overflow(lowered, noise(0, height=32, width=32))
    assert 0 < bound.bound < FLOAT16_LARGEST
    assert bound.operation in {op.name for op in lowered.operations if not op.exact}


def swollen(network: MoceIR, *, factor: float = 2.0**17) -> MoceIR:
    """The same function with numbers in the middle of one feed-forward block that float16 cannot hold."""
    network = deepcopy(network)
    block = network.latent.layers[0].ffn
    half = block.dwconv.weight.shape[0] // 2
    with torch.no_grad():
        block.dwconv.weight[half:].mul_(factor)
        block.project_out.weight.div_(factor)
    return network


def photograph() -> np.ndarray:
    """A bundled one."""
    return read_picture(resource("calibration") / "pictures" / "coffee.png").pixels


def settled(network: MoceIR, *sizes: tuple[int, int]) -> Settled:
    """On the stress pictures and a photograph."""
    return settle_islands(lower(network), photograph(), sizes)


def test_a_planted_overflow_becomes_an_island() -> None:
    """Weights scaled by 2^17 overflow float16; with islands around them the artifact is as close as before."""
    network, size = swollen(load(MODEL).network), (64, 72)
    lowered = lower(network)
    unbounded = bound_overflow(lowered, photograph()[:, :64, :72])
    assert unbounded.bound > FLOAT16_LARGEST
    found = settled(network, size)
    assert unbounded.operation in found.placed.added
    assert all(".ffn." in name and name.startswith("latent.layers.0.") for name in found.placed.added)
    assert set(found.placed.program.islands) == {*lowered.islands, *found.placed.added}
    assert [bound.picture for bound in found.overflow] == [*STRESS, "real picture"]
    for bound in found.overflow:
        assert bound.bound < FLOAT16_LARGEST
        assert bound.operation not in found.placed.added
        assert bound.parity_db is not None
        assert bound.parity_db >= STEP_PARITY_DB[Precision.FLOAT16]


def test_without_islands_it_would_break() -> None:
    """The pass is what keeps the planted overflow from the picture."""
    lowered = lower(swollen(load(MODEL).network))
    with torch.inference_mode():
        image = torch.from_numpy(photograph()[None, :, :64, :72].copy())
        restored = StaticNetwork(lowered, half=True)(image)["restored"]
    assert not torch.isfinite(restored).all()


def never_breaks(network: MoceIR, *sizes: tuple[int, int]) -> None:
    """No new islands, nothing near the end of float16, and no picture that rounding destroys."""
    found = settled(network, *sizes)
    assert not found.placed.added
    assert len(found.overflow) == len(STRESS) + 1 + 2 * (len(sizes) - 1)
    for bound in found.overflow:
        assert bound.bound < 100
        assert bound.parity_db is not None
        assert bound.parity_db >= STRESS_PARITY_DB


def test_golden_s_never_breaks(golden_s: MoceIR) -> None:
    """At a small size, on all stress pictures: the largest sum is 30 of 65504."""
    never_breaks(golden_s, (64, 64))


def test_tiny_never_breaks(golden_tiny: MoceIR) -> None:
    """At 256x256: 15 of 65504."""
    never_breaks(golden_tiny, (256, 256))


@pytest.mark.slow
def test_tiny_never_breaks_on_large_pictures(golden_tiny: MoceIR) -> None:
    """At 960x544, on the worst stress picture and a real one."""
    never_breaks(golden_tiny, (64, 64), (544, 960))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ((256, 256), (1080, 1920))),
        ({"overflow_size": (64, 320)}, ((64, 256), (64, 320))),
        ({"overflow_size": (64, 64)}, ((64, 64),)),
        ({"size": (320, 480)}, ((320, 480),)),
    ],
)
def test_sizes_that_place_islands(fields: dict[str, Any], expected: tuple[tuple[int, int], ...]) -> None:
    """The fixed one, or a small one and the largest that the recipe speaks of."""
    recipe = Recipe.model_validate({"target": "onnx", "precision": "float16", **fields})
    assert island_sizes(recipe) == expected
