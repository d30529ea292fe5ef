"""Weights that need no file: generated from each tensor's name, by the rule of the golden cases."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from moceir_edge.errors import CheckpointError
from moceir_edge.network.architecture import SIZES
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR

PREFIX = "golden:"
"""How a MODEL is named that is made from its size alone: `golden:S`."""


def golden_model(name: str) -> LoadedModel:
    """The model that `golden:S`, `golden:base` or `golden:tiny` names; CheckpointError for another size."""
    size = name.removeprefix(PREFIX)
    if size not in SIZES:
        raise CheckpointError(f"{name}: no size is called '{size}'", f"use {PREFIX} with one of {', '.join(SIZES)}")
    return LoadedModel(golden_network(size), name)


def golden_network(size: str, *, sharpness: float = 1.0) -> MoceIR:
    """A network of a named size with its golden weights, in evaluation mode.

    sharpness: multiplies the temperature of the attention that reads what the experts wrote.
    """
    network = MoceIR(SIZES[size])
    network.load_state_dict(golden_state(network))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("dec.") and name.endswith("mixer.temperature"):
                parameter.mul_(sharpness)
    return network.eval()


def golden_state(network: MoceIR) -> dict[str, torch.Tensor]:
    """Golden weights for every tensor; `routing.complexity` is what the network computed."""
    state = network.state_dict()
    return {name: value if "complexity" in name else _tensor(name, tuple(value.shape)) for name, value in state.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    normal = np.random.default_rng(seed).standard_normal(shape)
    is_norm = ".norms." in name or ".norm.body." in name
    if name.endswith("temperature") or (is_norm and name.endswith("weight")):
        value = 1 + 0.1 * normal
    elif name.endswith(".bias"):
        value = 0.1 * normal
    elif name.endswith(("routing.gate.2.weight", "routing.freq_gate.weight")):
        value = 3 * normal / np.sqrt(shape[1])
    else:
        value = 0.8 * normal / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))
