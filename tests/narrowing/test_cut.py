"""Channels and blocks that go: what stays is what it was."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from moceir_edge.errors import PlanError
from moceir_edge.narrowing.cut import cut_architecture, cut_channels, drop_blocks, earlier_name
from moceir_edge.narrowing.spaces import Space, SpaceKind, spaces
from moceir_edge.network.network import MoceIR
from tests.training.short_runs import slim_model


def half(space: Space) -> tuple[int, ...]:
    """The first half of a space's channels, of every head."""
    per_head = space.size // space.heads
    return tuple(head * per_head + i for head in range(space.heads) for i in range(max(1, per_head // 2)))


@pytest.fixture
def picture() -> Tensor:
    """(1, 3, 48, 64)."""
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["golden_tiny", "golden_s", "slim"])
def test_spaces_reach_every_tensor(name: str, request: pytest.FixtureRequest) -> None:
    """Along every axis of every tensor the channels lie once, and what is no space is fixed: colours, experts, taps."""
    network = slim_model(guarded=False).network if name == "slim" else request.getfixturevalue(name)
    state = network.state_dict()
    reached: dict[tuple[str, int], list[int]] = {}
    for space in spaces(network.architecture):
        for cut in space.cuts:
            if cut.tensor in state:
                reached.setdefault((cut.tensor, cut.axis), []).extend(cut.positions(range(space.size)).tolist())
    for (tensor, axis), positions in reached.items():
        assert sorted(positions) == list(range(state[tensor].shape[axis])), tensor
    missing = {
        (tensor.rsplit(".", 2)[-2], axis)
        for tensor, value in state.items()
        for axis, length in enumerate(value.shape[:2])
        if (tensor, axis) not in reached and length > 1 and "complexity" not in tensor
    }
    assert missing - {("proj", 1), ("output", 0), ("2", 0), ("freq_gate", 0)} == set()


def test_nothing_cut_is_the_network(golden_tiny: MoceIR, picture: Tensor) -> None:
    """Bit for bit."""
    with torch.inference_mode():
        assert torch.equal(cut_channels(golden_tiny, {})(picture).image, golden_tiny(picture).image)


def test_everything_halved(golden_tiny: MoceIR, picture: Tensor) -> None:
    """A quarter of the parameters and a bit, the same routers, the architecture that was foretold."""
    kept = {space.name: half(space) for space in spaces(golden_tiny.architecture)}
    narrow = cut_channels(golden_tiny, kept)
    assert narrow.architecture == cut_architecture(golden_tiny.architecture, kept)
    assert narrow.architecture.width == golden_tiny.architecture.width // 2
    counts = [sum(p.numel() for p in network.parameters()) for network in (narrow, golden_tiny)]
    assert counts[0] < 0.3 * counts[1]
    with torch.inference_mode():
        restored = narrow(picture)
    assert restored.image.shape == picture.shape
    assert restored.scores.shape == (1, 5, 4)


def test_channels_that_are_not_read_can_go(golden_tiny: MoceIR, picture: Tensor) -> None:
    """Of feed-forwards, single ones; of attentions, whole heads; of experts, what the last layer reads."""
    network, kept = copy.deepcopy(golden_tiny), {}
    for space in spaces(network.architecture):
        if space.kind is SpaceKind.FEED_FORWARD:
            kept[space.name] = tuple(range(0, space.size, 2))
        elif space.kind is SpaceKind.ATTENTION and space.heads > 1:
            kept[space.name] = tuple(range(space.size // space.heads, space.size))
        else:
            continue
        gone = sorted(set(range(space.size)) - set(kept[space.name]))
        with torch.no_grad():
            network.get_parameter(f"{space.name}.project_out.weight")[:, gone] = 0
    with torch.inference_mode():
        whole, narrow = network(picture).image, cut_channels(network, kept)(picture).image
    assert len(kept) > 20
    np.testing.assert_allclose(narrow, whole, atol=2e-5)


def test_channels_that_do_not_fit(golden_tiny: MoceIR) -> None:
    """An expert's three spaces are one rank."""
    with pytest.raises(PlanError, match="do not fit together: size mismatch"):
        cut_channels(golden_tiny, {"dec.0.2.layers.0.adapter.experts.3.body": range(8)})


def test_blocks_that_add_nothing_can_go(golden_s: MoceIR, picture: Tensor) -> None:
    """The others move up, and know what they were called."""
    network, dropped = copy.deepcopy(golden_s), ("enc.0.0.layers.1", "latent.layers.0", "latent.layers.7")
    for name in dropped:
        for part in ("mixer", "ffn"):
            torch.nn.init.zeros_(network.get_parameter(f"{name}.{part}.project_out.weight"))
            torch.nn.init.zeros_(network.get_parameter(f"{name}.{part}.project_out.bias"))
    shorter, before = drop_blocks(network, dropped)
    with torch.inference_mode():
        assert torch.equal(shorter(picture).image, network(picture).image)
    assert [len(stack.layers) for stack, _ in shorter.enc] == [3, 6, 6]
    assert len(shorter.latent.layers) == 6
    assert earlier_name("latent.layers.0.ffn.project_in", before) == "latent.layers.1.ffn.project_in"
    assert earlier_name("dec.0.1", before) == "dec.0.1"


def test_a_stack_keeps_a_block(golden_tiny: MoceIR) -> None:
    """Nothing would be left to narrow."""
    with pytest.raises(PlanError, match=r"refinement\.layers would have no block left"):
        drop_blocks(golden_tiny, ["refinement.layers.0"])


def test_names_of_spaces_are_their_own(golden_s: MoceIR) -> None:
    """A plan names them."""
    counts = Counter(space.name for space in spaces(golden_s.architecture))
    assert set(counts.values()) == {1}
