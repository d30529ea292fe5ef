"""The network against arrays of the published one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.network.architecture import SIZES
from moceir_edge.network.network import KEEP, SHORTCUT, MoceIR
from moceir_edge.network.router import Router
from tests.golden import drawn_pictures, golden_arrays, golden_network

STEMS = {"S": "moce_ir_s", "base": "moce_ir"}
CASES = [("S", "64x64"), ("S", "72x104"), ("base", "64x64"), pytest.param("base", "72x104", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("size", "case"), CASES)
def test_network_equals_the_published_one(shared: Path, size: str, case: str) -> None:
    """The output is within 2e-5, with the same experts and gates within 1e-5."""
    arrays = golden_arrays(shared, size)
    facts = json.loads((shared / "reference" / f"{STEMS[size]}.json").read_text())
    expected = facts["cases"][case]["routes"]
    network = golden_network(size)
    with torch.inference_mode():
        restored = network(torch.from_numpy(arrays[f"in_{case}"]))
    assert np.abs(restored.image.numpy() - arrays[f"out_{case}"]).max() <= 2e-5
    assert restored.routes[0].tolist() == [route["expert"] for route in expected]
    gates = restored.scores[0].gather(1, restored.routes[0][:, None])[:, 0].numpy()
    assert np.abs(gates - [route["gate"] for route in expected]).max() <= 1e-5
    assert sum(parameter.numel() for parameter in network.parameters()) == facts["params"]


@pytest.mark.parametrize("stem", ["moce_ir_s", "moce_ir", "tiny_train"])
def test_tensors_have_the_published_names_and_shapes(shared: Path, stem: str) -> None:
    """Every key of a published state dict, and no other."""
    size = {"moce_ir_s": "S", "moce_ir": "base", "tiny_train": "tiny"}[stem]
    published = json.loads((shared / "reference" / f"{stem}.keys.json").read_text())
    assert {name: list(value.shape) for name, value in MoceIR(SIZES[size]).state_dict().items()} == published


@pytest.mark.parametrize("size", ["S", "base"])
def test_complexity_is_computed(shared: Path, size: str) -> None:
    """Parameters of each expert over the largest."""
    expected = json.loads((shared / "reference" / f"{STEMS[size]}.json").read_text())["complexity"]
    state = MoceIR(SIZES[size]).state_dict()
    for name, values in expected.items():
        assert state[name].tolist() == pytest.approx(values, rel=1e-6)


def test_router_in_training_equals_the_published_one(shared: Path) -> None:
    """Choice, gates and balance loss of six pictures with given noise."""
    with np.load(shared / "reference" / "router_train.npz") as stored:
        arrays = {name: torch.from_numpy(array) for name, array in stored.items()}
    router = Router(32, 256, 4, (0, 1, 2, 3)).train()
    names = ("gate.2.weight", "freq_gate.weight")
    router.load_state_dict({**{name: arrays[f"w_{name}"] for name in names}, "complexity": arrays["complexity"]})
    routing = router(arrays["x"], arrays["freq_emb"], arrays["noise"])
    assert routing.route.tolist() == arrays["topk"][:, 0].tolist()
    gates = arrays["gates"].gather(1, arrays["topk"])[:, 0]
    torch.testing.assert_close(routing.gate, gates, atol=1e-6, rtol=0)
    assert float(routing.balance_loss.detach()) == pytest.approx(float(arrays["aux_loss"]), rel=1e-5)


def test_training_mode_equals_the_published_one(shared: Path) -> None:
    """Output, balance loss, L1 and gradient norms of a batch of three agree."""
    arrays = np.load(shared / "reference" / "tiny_train.npz")
    norms = json.loads((shared / "reference" / "tiny_train.json").read_text())["grad_norms_of_l1_plus_0.01_balance"]
    network = golden_network("tiny").train()
    x = torch.from_numpy(arrays["x"])
    restored = network(x, noise=torch.zeros(3, 5, 4))
    l1 = (restored.image - x.flip(0)).abs().mean()
    (l1 + 0.01 * restored.balance_loss).backward()
    assert np.abs(restored.image.detach().numpy() - arrays["y"]).max() <= 2e-5
    assert float(restored.balance_loss.detach()) == pytest.approx(float(arrays["balance_loss"]), rel=1e-5)
    assert float(l1.detach()) == pytest.approx(float(arrays["l1"]), rel=1e-5)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    for name, expected in norms.items():
        assert float(gradients[name].norm()) == pytest.approx(expected, rel=1e-4)


def test_a_batch_equals_its_pictures(golden_tiny: MoceIR) -> None:
    """Pictures of a batch that take different experts do not mix."""
    pictures = drawn_pictures(6)
    with torch.inference_mode():
        together = golden_tiny(pictures)
        alone = [golden_tiny(picture[None]) for picture in pictures]
    assert len(set(map(tuple, together.routes.tolist()))) > 1, "the pictures should take different routes"
    assert together.routes.tolist() == [one.routes[0].tolist() for one in alone]
    torch.testing.assert_close(together.image, torch.cat([one.image for one in alone]), atol=2e-5, rtol=0)


def test_forced_routes_are_taken(golden_tiny: MoceIR) -> None:
    """The own route forced changes nothing, another one or the shortcut does; `KEEP` leaves the router its choice."""
    picture = drawn_pictures(1)
    with torch.inference_mode():
        own = golden_tiny(picture)
        same = golden_tiny(picture, forced=own.routes)
        kept = golden_tiny(picture, forced=torch.full_like(own.routes, KEEP))
        other = golden_tiny(picture, forced=(own.routes + 1) % 4)
        none = golden_tiny(picture, forced=torch.full_like(own.routes, SHORTCUT))
    assert torch.equal(own.image, same.image)
    assert torch.equal(own.image, kept.image)
    assert float((own.image - other.image).abs().max()) > 1e-3
    assert float((own.image - none.image).abs().max()) > 1e-3


def test_evaluation_is_deterministic_and_silent(golden_tiny: MoceIR) -> None:
    """Two runs are equal to the last bit, and there is no balance loss."""
    picture = drawn_pictures(1)
    with torch.inference_mode():
        first, second = golden_tiny(picture), golden_tiny(picture)
    assert torch.equal(first.image, second.image)
    assert float(first.balance_loss) == 0.0


@pytest.mark.parametrize("size", [(12, 16), (16, 20), (9, 9)])
def test_other_sizes_are_refused(golden_tiny: MoceIR, size: tuple[int, int]) -> None:
    """Heights and widths are multiples of 8."""
    with pytest.raises(ValueError, match="multiples of 8"):
        golden_tiny(torch.zeros(1, 3, *size))
