"""Programs for hardware without float32: the same pictures, and nothing that float16 cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moceir_edge.metrics import psnr_db
from moceir_edge.parity.overflow import settle_islands
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.passes.without_islands import SMALLEST, SMALLEST_NORMAL, without_islands
from moceir_edge.program.program import Kind
from tests.program.passes.rewriting import NETWORKS, lowered, parity_db

SIZE = (64, 96)


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_stay_and_no_island_is_left(network: str) -> None:
    """Shrunk queries and keys are normalized, so the picture is the same; everything may be float16."""
    before = lowered(network)
    after = without_islands(before, SIZE)
    assert after.islands == ()
    assert parity_db(before, after, SIZE) > 80


def test_float16_holds_all_of_the_trained_model() -> None:
    """No island has to come back, and rounding every operation keeps 60 dB; without the pass it is lost."""
    before = lowered("trained tiny")
    after = without_islands(before, SIZE)
    image = np.random.default_rng(3).random((3, *SIZE), np.float32)
    settled = settle_islands(after, image, (SIZE,))
    assert settled.placed.added == {}
    batch = torch.from_numpy(image)[None]
    with torch.inference_mode():
        wanted, rounded = (StaticNetwork(after, half=half)(batch)["restored"].numpy() for half in (False, True))
    assert psnr_db(wanted, rounded) > 60


def test_numbers_that_float16_lacks_are_raised() -> None:
    """An epsilon or floor that rounds to 0 would make 0/0 of a black picture."""
    after = without_islands(lowered("trained tiny"), SIZE)
    norms = [op.attributes["epsilon"] for op in after.operations if op.kind is Kind.NORM]
    floors = [op.attributes["value"] for op in after.operations if op.kind is Kind.FLOOR]
    assert min(norms) >= SMALLEST
    assert min(floors) >= SMALLEST_NORMAL
    assert np.float16(min(norms)) > 0
    assert not [op for op in after.operations if op.kind is Kind.MEAN and op.attributes["axes"] == (2, 3)]
