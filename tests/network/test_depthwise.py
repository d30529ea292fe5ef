"""The gradient of depthwise weights, against the library's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from moceir_edge.network.depthwise import DepthwiseConv, weight_gradient


@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 4, 5, 9), (3, 1, 16, 2)])
def test_gradient_of_the_weights_is_the_librarys(side: int, shape: tuple[int, int, int, int]) -> None:
    """Any number of pictures, channels, and sides, also smaller ones than the kernel."""
    random = torch.Generator().manual_seed(0)
    x, gradient = (torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(2))
    weight = torch.randn(shape[1], 1, side, side, generator=random, dtype=torch.float64, requires_grad=True)
    functional.conv2d(x, weight, padding=side // 2, groups=shape[1]).backward(gradient)
    torch.testing.assert_close(weight_gradient(x, gradient, side), weight.grad)


@pytest.mark.parametrize("bias", [False, True])
def test_all_gradients_pass_the_check_by_differences(bias: bool) -> None:
    """Of input, weights and bias, in float64."""
    torch.manual_seed(0)
    layer = DepthwiseConv(2, 7, bias=bias).double()
    x = torch.randn(2, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def test_values_are_those_of_a_plain_convolution() -> None:
    """With gradients and without, under the names of nn.Conv2d."""
    torch.manual_seed(0)
    layer, x = DepthwiseConv(4, 7, bias=True), torch.randn(2, 4, 16, 16)
    plain = torch.nn.Conv2d(4, 4, 7, padding=3, groups=4)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        assert torch.equal(layer(x), plain(x))
    assert torch.equal(layer(x), plain(x))
