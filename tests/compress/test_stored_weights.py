"""Stored weights: rounding, what is left alone, and what is reported about it."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.compress.stored_weights import (
    PALETTES,
    SCALE,
    SMALLEST,
    Storage,
    Stored,
    left_alone,
    skipped,
    steps_of,
    storable,
    weights_in_words,
    with_steps,
    with_stored_weights,
)
from moceir_edge.program.program import Builder, Kind, Operation, Program


def conv(weight: np.ndarray, *, groups: int = 1, exact: bool = False) -> Program:
    """A program of one convolution."""
    builder = Builder()
    x = builder.add(Kind.INPUT, "image")
    x = builder.add(Kind.CONV, "conv", x, constants={"weight": weight}, groups=groups, exact=exact)
    return Program(tuple(builder.operations), {"restored": x}, (), 0)


def weights(*shape: int) -> np.ndarray:
    """Weights whose channels differ in size by a factor of a million."""
    drawn = np.random.default_rng(2).standard_normal(shape)
    return (drawn * np.logspace(-5, 1, shape[0]).reshape(-1, 1, 1, 1)).astype(np.float32)


def rounded(program: Program, *, half: bool) -> Operation:
    """Its convolution with 8-bit weights."""
    return with_steps(program, ["conv"], half=half).operations[1]


@pytest.mark.parametrize("half", [False, True])
def test_rounded_weights_are_multiples_of_a_scale(half: bool) -> None:
    """Every weight is within half a step of what it was, and is stored without further loss."""
    weight = weights(32, 64, 1, 1)
    op = rounded(conv(weight), half=half)
    scale = op.constants[SCALE]
    steps = steps_of(op.constants["weight"], scale)
    number = np.float16 if half else np.float32
    again = (steps * scale.reshape(-1, 1, 1, 1)).astype(number).astype(np.float32)
    np.testing.assert_array_equal(again, op.constants["weight"])
    error = np.abs(op.constants["weight"] - weight).max(axis=(1, 2, 3))
    assert np.all(error <= scale * (0.5 + (127 * 2**-11 if half else 1e-5)))
    assert scale.shape == (32,)
    assert np.array_equal(scale, scale.astype(number))


def test_largest_weight_of_a_channel_uses_the_whole_range() -> None:
    """In float32 each channel reaches 127, and never -128."""
    op = rounded(conv(weights(16, 128, 1, 1)), half=False)
    steps = steps_of(op.constants["weight"], op.constants[SCALE]).astype(int)
    assert np.abs(steps).max(axis=(1, 2, 3)).tolist() == [127] * 16


def test_channel_of_zeros_stays_zero() -> None:
    """A channel without weights gives no division by zero."""
    weight = weights(16, 128, 1, 1)
    weight[3] = 0
    for half in (False, True):
        op = rounded(conv(weight), half=half)
        assert not op.constants["weight"][3].any()
        assert np.isfinite(op.constants["weight"]).all()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (conv(weights(64, 64, 1, 1), exact=True), "islands"),
        (conv(weights(512, 1, 7, 7), groups=512), "depthwise"),
        (conv(weights(8, 8, 1, 1)), str(SMALLEST)),
    ],
)
def test_what_is_left_alone_is_named_with_its_reason(program: Program, reason: str) -> None:
    """Islands, depthwise and small convolutions keep their weights, and the result says how many and why."""
    assert reason in str(left_alone(program.operations[1]))
    assert storable(program) == ()
    (note,) = skipped(program)
    assert reason in note.reason
    assert f"1 convolutions, {program.operations[1].constants['weight'].size} values" in note.what


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("stored", [Stored.PALETTE_6, Stored.PALETTE_4])
def test_palettes_hold_every_weight_that_is_computed_with(stored: Stored, blocks: bool) -> None:
    """A block of output channels has at most as many values as its palette, float16 numbers, next to what they were."""
    weight = weights(48, 64, 1, 1)
    storage = Storage(half=True, blocks=blocks)
    op = with_stored_weights(conv(weight), {"conv": stored}, storage).operations[1]
    palettes = op.constants[PALETTES]
    assert palettes.shape == (3 if blocks else 1, 2**stored.bits)
    assert np.array_equal(palettes, palettes.astype(np.float16))
    blocked = zip(palettes, op.constants["weight"].reshape(len(palettes), -1), strict=True)
    for (palette, restored), given in zip(blocked, weight.reshape(len(palettes), -1), strict=True):
        nearest = np.abs(given[:, None] - palette).min(axis=1)
        np.testing.assert_allclose(np.abs(restored - given), nearest, atol=1e-7)


def test_size_counts_indices_scales_and_palettes() -> None:
    """As many bytes as the package holds for the weight: half a byte an index and 32 bytes a palette in 4 bits."""
    op = conv(weights(48, 64, 1, 1)).operations[1]
    storage = Storage(half=True, blocks=True)
    sizes = [storage.size_bytes(op, stored) for stored in (None, Stored.LINEAR_8, Stored.PALETTE_6, Stored.PALETTE_4)]
    assert sizes == [6144, 3072 + 96, 2304 + 3 * 128, 1536 + 3 * 32]


def test_how_weights_are_stored_is_said_in_words() -> None:
    """As Xcode shows it."""
    program = conv(weights(48, 64, 1, 1))
    said = [
        weights_in_words(with_stored_weights(program, {"conv": stored}, Storage(half=True, blocks=False)), half=True)
        for stored in Stored
    ]
    assert said == ["8-bit linear", "6-bit palette", "4-bit palette"]
    assert weights_in_words(program, half=True) == "float16"
