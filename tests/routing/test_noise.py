"""Routing noise as the published code adds it: measured, never used."""

from __future__ import annotations

import pytest
import torch

from moceir_edge.data.dataset import Dataset
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.routing.crops import Replay
from moceir_edge.routing.noise import measure_noise
from moceir_edge.terms import Task
from tests.golden import drawn_pictures


def test_noise_changes_results_from_draw_to_draw(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """The spread over the draws is not zero, and a second measurement with the same seed is the same."""
    model = LoadedModel(golden_tiny, "golden")
    noise = measure_noise(model, pictures.of([Task.DERAIN]), draws=3, per_task=2)
    (row,) = noise.tasks
    assert row.std_db is not None
    assert row.min_db is not None
    assert row.max_db is not None
    assert row.std_db > 0
    assert row.min_db < row.max_db
    assert 0 <= row.routes_changed <= 1
    assert noise == measure_noise(model, pictures.of([Task.DERAIN]), draws=3, per_task=2)
    assert noise != measure_noise(model, pictures.of([Task.DERAIN]), draws=3, per_task=2, seed=1)


def test_without_targets_only_routes_are_counted(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """No PSNR is made up."""
    (row,) = measure_noise(LoadedModel(golden_tiny, "golden"), pictures.of([Task.DEHAZE]), draws=2).tasks
    assert row.clean_db is None
    assert row.mean_db is None
    assert row.n == 0


def test_noise_is_that_of_the_network(golden_tiny: MoceIR) -> None:
    """A replay with noise equals a whole run with the same noise."""
    image = drawn_pictures(1)
    noise = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = golden_tiny(image, noise=noise)
    restored, routes = Replay(golden_tiny, image[0].numpy()).noisy(noise[0].numpy())
    assert routes == tuple(whole.routes[0].tolist())
    assert restored == pytest.approx(whole.image[0].numpy(), abs=0)
