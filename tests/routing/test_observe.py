"""Observing runs every picture once and sees what the network chose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.split import split
from moceir_edge.errors import CheckpointError
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.routing.observe import observe
from moceir_edge.routing.routing import Routing, measure_routing
from moceir_edge.runner import pad
from moceir_edge.terms import GateMode, Task


def test_routes_and_scores_are_those_of_the_network(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """Every picture has the routes, gates and scores of a direct run."""
    observation = observe(LoadedModel(golden_tiny, "golden"), pictures)
    assert [picture.name for picture in observation.pictures] == [sample.name for sample in pictures.samples]
    for sample, picture in zip(pictures.samples, observation.pictures, strict=True):
        image = pad(sample.load().input, (48, 56))
        with torch.inference_mode():
            direct = golden_tiny(torch.from_numpy(image)[None])
        assert picture.routes == tuple(direct.routes[0].tolist()) == picture.first_choices
        assert picture.scores == tuple(map(tuple, direct.scores[0].tolist()))
        assert picture.gates == tuple(row[route] for row, route in zip(picture.scores, picture.routes, strict=True))
        first, second = np.sort(picture.scores, axis=1)[:, ::-1][:, :2].T
        assert picture.margins == pytest.approx(first - second, abs=1e-6)


def test_a_model_without_routers_is_refused(pictures: Dataset, golden_tiny: MoceIR) -> None:
    """There is nothing to observe, and the message says so."""
    architecture = golden_tiny.architecture
    decoder = tuple(
        tuple(
            replace(b, experts=(b.experts[0], None, None, None), served=(0,), router=False, mean_gate=0.5)
            for b in level
        )
        for level in architecture.decoder
    )
    blind = LoadedModel(MoceIR(replace(architecture, decoder=decoder)).eval(), "blind.safetensors")
    assert blind.architecture.gate is GateMode.FOLDED
    with pytest.raises(CheckpointError, match=r"blind\.safetensors: it has no routers"):
        observe(blind, pictures)


def test_routing_holds_both_sides(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """Choosing and judging pictures are apart, relevance and noise see choosing ones only, JSON keeps everything."""
    parts = split(pictures)
    routing = measure_routing(LoadedModel(golden_tiny, "golden"), parts, versions={"torch": torch.__version__})
    choosing = {sample.name for sample in parts.choosing.samples}
    assert {picture.name for picture in routing.choosing.pictures} == choosing
    assert {picture.name for picture in routing.judging.pictures}.isdisjoint(choosing)
    assert routing.relevance is not None
    assert routing.noise is not None
    assert set(routing.relevance.pictures) <= choosing
    assert set(routing.noise.pictures) <= choosing
    again = Routing.model_validate_json(routing.model_dump_json())
    assert again == routing
    assert again.sha256 == routing.sha256
    assert routing.choosing.tasks == (Task.DERAIN, Task.DEHAZE)
