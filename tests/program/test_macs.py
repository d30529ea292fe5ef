"""Counted work against counts by hand and against figures others published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moceir_edge.network.architecture import SIZES, Architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs, macs_by_operation
from moceir_edge.program.program import Program

Counts = dict[str, int]


def with_one_expert(architecture: Architecture, index: int) -> Program:
    """The program of a network with the same expert in every layer."""
    decoder = tuple(
        tuple(
            replace(
                block,
                experts=tuple(expert if at == index else None for at, expert in enumerate(block.experts)),
                served=(index,),
            )
            for block in level
        )
        for level in architecture.decoder
    )
    return lower(MoceIR(replace(architecture, decoder=decoder)))


@pytest.fixture(scope="module")
def tiny_counts() -> Counts:
    """MACs of the small size, all experts, at 64x96."""
    return macs_by_operation(lower(MoceIR(SIZES["tiny"])), 64, 96)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("patch_embed.proj", 64 * 96 * 16 * 3 * 9),
        ("enc.0.1.body.0", 64 * 96 * 8 * 16 * 9),
        ("latent.layers.0.ffn.project_out", 8 * 12 * 128 * 256),
        ("latent.layers.1.mixer.similarity", 8 * 16 * 16 * 8 * 12),
        ("dec.2.2.layers.0.adapter.routing.gate", 4 * 16),
        ("dec.2.2.layers.0.adapter.routing.freq_gate", 4 * 128),
        ("dec.2.2.layers.0.mixer.q_dwconv", 64 * 96 * 16 * 9),
        ("freq_embed.high_conv.0.conv", 8 * 12 * 128 * 9),
        ("freq_embed.mlp.0", 128 * 256),
        ("output", 64 * 96 * 3 * 16 * 9),
    ],
)
def test_operations_are_counted_as_by_hand(tiny_counts: Counts, name: str, count: int) -> None:
    """Dense, depthwise and linear layers and attention products."""
    assert tiny_counts[name] == count


def test_a_split_convolution_costs_what_it_cost_before(tiny_counts: Counts) -> None:
    """q, k and v are convolutions of their own, with the work of one."""
    parts = [tiny_counts[f"enc.0.0.layers.0.mixer.qkv.{letter}"] for letter in "qkv"]
    assert parts == [64 * 96 * 16 * 16] * 3


def test_windows_are_separable_products(tiny_counts: Counts) -> None:
    """Columns, then rows of each window, on whole windows: expert 3 of the last layer has side 32 and rank 16."""
    prefix = "dec.2.2.layers.0.adapter.experts.3.0.body.windows.q"
    count = 2 * 3 * 16
    assert tiny_counts[f"{prefix}.columns"] == count * 32 * 34 * 32
    assert tiny_counts[f"{prefix}.rows"] == count * 64 * 34 * 32


def test_windows_that_do_not_fit_are_counted_whole() -> None:
    """At 40x40 there are four windows of side 32, as at 64x64."""
    program = lower(MoceIR(SIZES["tiny"]))
    name = "dec.2.2.layers.0.adapter.experts.3.0.body.windows.q.rows"
    assert macs_by_operation(program, 40, 40)[name] == macs_by_operation(program, 64, 64)[name]


@pytest.mark.parametrize(("expert", "without_windows", "whole"), [(0, 42.402, 42.472), (3, 47.787, 50.996)])
def test_s_with_one_expert(expert: int, without_windows: float, whole: float) -> None:
    """At 256x256, in G: convolutions and attention, and what windows as matrix products add."""
    counts = macs_by_operation(with_one_expert(SIZES["S"], expert), 256, 256)
    assert sum(counts.values()) / 1e9 == pytest.approx(whole, abs=1e-3)
    others = sum(count for name, count in counts.items() if ".windows." not in name)
    assert others / 1e9 == pytest.approx(without_windows, abs=1e-3)


@pytest.mark.parametrize(("size", "published"), [("S", (37, 37)), ("base", (75, 80))])
def test_published_figures_at_224(size: str, published: tuple[int, int]) -> None:
    """What others counted lies between the cheapest and the dearest expert."""
    low, high = (macs(with_one_expert(SIZES[size], expert), 224, 224) / 1e9 for expert in (0, 3))
    assert low < published[1]
    assert high > published[0]


def test_work_grows_with_the_picture() -> None:
    """Four times the pixels, four times the work where windows fit, but for the routers and the frequency embedding."""
    program = lower(MoceIR(SIZES["tiny"]))
    small, large = macs(program, 128, 128), macs(program, 256, 256)
    assert 3.9 < large / small < 4.0
