"""What is measured of channels, and what it leaves them to become."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from moceir_edge.narrowing.cut import cut_channels
from moceir_edge.narrowing.options import parts, trunk, widths
from moceir_edge.narrowing.spaces import SpaceKind
from moceir_edge.narrowing.statistics import measure_statistics
from moceir_edge.network.network import MoceIR
from tests.golden import drawn_pictures


@pytest.mark.parametrize(("size", "multiple"), [(40, 16), (72, 16), (128, 12), (64, 20), (256, 16), (5, 4)])
def test_the_first_width_is_the_whole_one(size: int, multiple: int) -> None:
    """Whatever it is a multiple of."""
    found = widths(size, multiple)
    assert found[0] == size
    assert list(found) == sorted(set(found), reverse=True)


def test_gains_say_what_an_error_does_to_the_picture(golden_tiny: MoceIR) -> None:
    """Noise on what a layer gives changes the picture as much as was foretold, within the spread of one probe."""
    picture, name = drawn_pictures(3, height=64, width=64)[2:], "dec.2.2.layers.0.ffn.project_out"
    gains = measure_statistics(golden_tiny, [picture.clone() for _ in range(6)])[name].gains
    size = 1e-3

    def disturb(_: torch.nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        return output + size * torch.randn(output.shape, generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        whole = golden_tiny(picture).image
        handle = golden_tiny.get_submodule(name).register_forward_hook(disturb)
        changed = golden_tiny(picture).image
        handle.remove()
    assert float((changed - whole).square().mean()) == pytest.approx(size**2 * gains.sum(), rel=0.4)


def test_experts_count_as_often_as_they_are_used(golden_tiny: MoceIR) -> None:
    """Seen by one picture of two, half as much; an expert that none was routed to stays whole, for nothing is known."""
    pictures = drawn_pictures(6, height=64, width=64)
    with torch.inference_mode():
        routes = golden_tiny(pictures).routes[:, 0].tolist()
    first, other = 0, next(number for number, route in enumerate(routes) if route != routes[0])
    name = f"dec.0.2.layers.0.adapter.experts.{routes[first]}"
    alone, both = (
        measure_statistics(golden_tiny, [pictures[number][None].clone() for number in numbers])
        for numbers in ([first], [first, other])
    )
    layer = f"{name}.0.proj.2"
    np.testing.assert_allclose(both[layer].products, alone[layer].products)
    np.testing.assert_allclose(both[layer].gains, alone[layer].gains / 2)
    options = {part.name: part.options for part in parts(golden_tiny.architecture, alone, multiple=4)}
    unseen = next(index for index in range(2, 4) if index != routes[first])
    assert len(options[f"dec.0.2.layers.0.adapter.experts.{unseen}"]) == 1
    assert len(options[f"{name[:-1]}{routes[first]}"]) >= 1


def test_a_guard_that_no_picture_needs_can_be_measured(golden_tiny: MoceIR) -> None:
    """Routers beside folded gates get no gradient: what they read most stays."""
    architecture = golden_tiny.architecture
    decoder = tuple(tuple(replace(b, served=(1,), mean_gate=0.4) for b in level) for level in architecture.decoder)
    folded = MoceIR(replace(architecture, decoder=decoder)).eval()
    folded.load_state_dict(copy.deepcopy(golden_tiny.state_dict()))
    statistics = measure_statistics(folded, [drawn_pictures(1, height=64, width=64)])
    assert not statistics["freq_embed.mlp.2"].gains.any()
    kept = trunk(folded.architecture, statistics, 8)
    read = np.diagonal(statistics["freq_embed.mlp.2"].products)
    chosen = list(kept["freq_embed.mlp.0"])
    assert read[chosen].min() >= np.delete(read, chosen).max()
    assert cut_channels(folded, kept).architecture.width == 8


def test_every_part_has_its_options(golden_tiny: MoceIR) -> None:
    """Of each kind, from nothing lost on."""
    found = parts(golden_tiny.architecture, measure_statistics(golden_tiny, [drawn_pictures(1)]), multiple=8)
    assert {part.kind for part in found} == {SpaceKind.ATTENTION, SpaceKind.FEED_FORWARD, SpaceKind.EXPERT}
    assert all(part.options[0].error == 0 for part in found)
    assert all(option.error >= 0 for part in found for option in part.options)
