"""The measurement of a training step: the two networks that are compared are one."""

from __future__ import annotations

import torch
from torch import nn

from moceir_edge.training.initial import fresh_network
from moceir_edge.training.speed import measure_step, plain


def test_plain_is_the_same_network_with_the_librarys_kernels() -> None:
    """Equal results, and equal gradients up to rounding."""
    ours = fresh_network("tiny", seed=0, complexity=True).train()
    other = plain(ours)
    assert {type(module) for module in other.modules() if isinstance(module, nn.Conv2d)} == {nn.Conv2d}
    image = torch.rand(2, 3, 32, 32)
    for network in (ours, other):
        network(image).image.square().mean().backward()
    for (name, mine), theirs in zip(ours.named_parameters(), other.parameters(), strict=True):
        if mine.grad is not None:
            assert theirs.grad is not None
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-7, msg=name)


def test_both_are_timed() -> None:
    """Above 0, with the machine named."""
    found = measure_step("tiny", batch=1, patch=32, rounds=1)
    assert min(found.ours_ms, found.plain_ms, found.ratio) > 0
    assert "threads" in found.machine
