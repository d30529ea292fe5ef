"""What is left learns to say what the whole network said."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from moceir_edge.narrowing.cut import cut_channels, drop_blocks
from moceir_edge.narrowing.repair import fit, record, repair
from moceir_edge.narrowing.sampling import SAMPLES, regressors, sampled
from moceir_edge.network.depthwise import DepthwiseConv
from moceir_edge.network.network import MoceIR
from tests.golden import drawn_pictures


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """(3, 3, 64, 64)."""
    return drawn_pictures(3, height=64, width=64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("side", [1, 3])
def test_a_layer_finds_the_weights_it_should_have(side: int, bias: bool) -> None:
    """From another layer's results alone."""
    torch.manual_seed(0)
    wanted, layer = (nn.Conv2d(5, 7, side, padding=side // 2, bias=bias) for _ in range(2))
    x = torch.randn(4, 5, 40, 44)
    with torch.no_grad():
        fit(layer, regressors(layer, x), sampled(wanted(x)))
        np.testing.assert_allclose(layer(x), wanted(x), atol=0.01)


def test_what_is_sampled_is_the_layers_own_product() -> None:
    """Regressors times weights are the layer's results at the same pixels, and not more of them than wanted."""
    layer = nn.Conv2d(3, 2, 3, padding=1, bias=False)
    x = torch.randn(2, 3, 64, 72)
    with torch.no_grad():
        found = regressors(layer, x) @ layer.weight.flatten(1).T
        assert len(found) == SAMPLES
        np.testing.assert_allclose(found, sampled(layer(x)), atol=1e-5)


def test_what_is_twice_there_can_go(golden_tiny: MoceIR, pictures: Tensor) -> None:
    """Half of a feed-forward repeats the other half: cut, the picture is another one; refitted, it is the same."""
    network, name = copy.deepcopy(golden_tiny), "enc.1.0.layers.0.ffn"
    ffn = network.get_submodule(name)
    hidden = ffn.project_out.in_channels
    half = hidden // 2
    with torch.no_grad():
        for tensor in (ffn.project_in.weight, ffn.project_in.bias, ffn.dwconv.weight, ffn.dwconv.bias):
            for start in (0, hidden):
                tensor[start + half : start + hidden] = tensor[start : start + half]
    recorded, kept = record(network, pictures), {name: tuple(range(half))}
    narrow = cut_channels(network, kept)
    with torch.inference_mode():
        whole, cut = network(pictures).image, narrow(pictures).image
        repair(narrow, recorded, pictures, whole=network.architecture, kept=kept, before={})
        refitted = narrow(pictures).image
    before, after = (float((image - whole).square().mean()) for image in (cut, refitted))
    assert before > 1e-3
    assert after < 1e-3 * before


def test_a_whole_network_stays_as_it_is(golden_tiny: MoceIR, pictures: Tensor) -> None:
    """Nothing is missing, so nothing is learned."""
    same = cut_channels(golden_tiny, {})
    repair(same, record(golden_tiny, pictures), pictures, whole=golden_tiny.architecture, kept={}, before={})
    with torch.inference_mode():
        np.testing.assert_allclose(same(pictures).image, golden_tiny(pictures).image, atol=1e-4)


def test_the_block_before_speaks_for_one_that_is_gone(golden_tiny: MoceIR, pictures: Tensor) -> None:
    """A block that adds a constant is taken over by the bias of the one before it."""
    network = copy.deepcopy(golden_tiny)
    last = network.get_submodule("latent.layers.1")
    with torch.no_grad():
        for part in (last.mixer, last.ffn):
            part.project_out.weight.zero_()
            part.project_out.bias.fill_(0.7)
    shorter, before = drop_blocks(network, ["latent.layers.1"])
    recorded = record(network, pictures)
    with torch.inference_mode():
        whole, cut = network(pictures).image, shorter(pictures).image
        repair(shorter, recorded, pictures, whole=network.architecture, kept={}, before=before)
        refitted = shorter(pictures).image
    errors = [float((image - whole).square().mean()) for image in (cut, refitted)]
    assert errors[1] < 1e-2 * errors[0]


def test_depthwise_layers_are_no_dense_ones() -> None:
    """Not even with one channel."""
    assert isinstance(DepthwiseConv(1, 3), nn.Conv2d)
    from moceir_edge.narrowing.sampling import dense_layers

    assert list(dense_layers(nn.Sequential(DepthwiseConv(1, 3), nn.Conv2d(1, 1, 1)))) == ["1"]
