"""Runs of a few steps of the small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moceir_edge.network.architecture import DecoderBlockShape
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.network.network import MoceIR
from moceir_edge.training.recipe import TrainingRecipe
from tests.golden import golden_network


def recipe(**fields: Any) -> TrainingRecipe:
    """Four steps of two small patches."""
    said = {
        "size": "tiny",
        "data": [
            {"folder": "clean", "layout": "clean", "tasks": ["denoise_25", "denoise_50"]},
            {"folder": ".", "layout": "sets", "tasks": ["derain"], "repeats": 2},
        ],
        "patch": 32,
        "batch": 2,
        "schedule": {"steps": 4, "warmup": 2, "cosine": 8, "rate": 1e-3},
        "workers": 0,
        "checkpoint_every": 2,
    }
    return TrainingRecipe.model_validate({**said, **fields})


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Of a model file."""
    return load(path).network.state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def steps(count: int) -> dict[str, Any]:
    """A schedule that ends there."""
    return {"schedule": {"steps": count, "warmup": 2, "cosine": 8, "rate": 1e-3}}


WATCHED = {"validation": {"folder": "judge", "tasks": ["derain"], "pictures": 2, "crop": 48, "every": 2}}


def slim_model(*, guarded: bool) -> LoadedModel:
    """The small golden network with some experts, fewer channels in its feed-forwards, and routers or none.

    Its first layer keeps two experts, its second none, the others one each.
    """
    full, kept = golden_network("tiny"), iter([(1, 3), (), (2,), (2,), (0,)])

    def cut(block: DecoderBlockShape) -> DecoderBlockShape:
        left = next(kept)[0 if guarded else -1 :]
        experts = tuple(expert if index in left else None for index, expert in enumerate(block.experts))
        mean_gate = None if guarded else 0.5
        served = left or tuple(range(4))
        return replace(block, experts=experts, served=served, router=guarded, mean_gate=mean_gate, feed_forward=8)

    decoder = tuple(tuple(cut(block) for block in level) for level in full.architecture.decoder)
    network, state = MoceIR(replace(full.architecture, decoder=decoder)), full.state_dict()
    corner = {name: state[name][tuple(map(slice, tensor.shape))] for name, tensor in network.state_dict().items()}
    network.load_state_dict(corner)
    return LoadedModel(network.eval(), "slim", {"tasks": ["derain"], "training": {"steps": 7}})
