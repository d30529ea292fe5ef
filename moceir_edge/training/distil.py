"""What a student learns from its teacher: the restored picture, and what the stages give on the way to it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from moceir_edge.errors import InputError
from moceir_edge.network.architecture import Architecture
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR

Channels = Mapping[str, Sequence[int]]
"""Indices of the channels of a stage, by its name in `stages`."""

FAINTEST = 1e-12
"""Mean square of features below which a stage gives nothing."""


class Taught(NamedTuple):
    """image: (N, 3, H, W), not clipped; features: of each stage, as in `features_of`."""

    image: Tensor
    features: list[Tensor]


class Teacher:
    """A model that is learned from and does not learn: no module, so it is in no checkpoint, average or optimizer.

    channels: of its features that the student has, in the student's order, by stage; all where a stage is not named.
    """

    def __init__(self, model: LoadedModel, channels: Channels | None = None) -> None:
        self.network = copy.deepcopy(model.network).eval().requires_grad_(False)
        self.channels = [(channels or {}).get(name) for name in stages(model.architecture)]

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Itself: averages of a student's weights start as a copy of who holds it."""
        return self

    def __call__(self, images: Tensor) -> Taught:
        """images: (N, 3, H, W) in [0, 1], on any device; its routes are its own, without noise."""
        network = self.network.to(images.device)
        with torch.no_grad(), features_of(network) as features:
            image = network(images).image
        return Taught(
            image, [f if kept is None else f[:, kept] for f, kept in zip(features, self.channels, strict=True)]
        )


def require_comparable(student: Architecture, teacher: Architecture, channels: Channels | None = None) -> None:
    """InputError where stages of the two give features of different shapes."""
    if student.levels != teacher.levels:
        what = f"the teacher has {teacher.levels} levels, the student {student.levels}"
        raise InputError(what, "give a teacher of the student's levels")
    for stage in stages(teacher):
        mine, other = _width(student, stage), _width(teacher, stage)
        given = len(channels[stage]) if channels is not None and stage in channels else other
        if mine != given:
            what = f"the teacher gives {given} channels in {stage}, the student {mine}"
            raise InputError(what, "give a teacher of the student's width and levels")


def _width(architecture: Architecture, stage: str) -> int:
    """Channels of a stage."""
    kind, _, level = stage.partition(".")
    if kind == "latent":
        return architecture.frequency_width
    return (
        architecture.width << int(level)
        if kind == "enc"
        else architecture.level_width(int(level or architecture.levels - 1))
    )


@contextmanager
def features_of(network: MoceIR) -> Iterator[list[Tensor]]:
    """Collects while the network runs, in running order: encoder levels, latent, decoder levels, refinement.

    Each is (N, C, h, w), the output of the stage's last block.
    """
    found: list[Tensor] = []

    def collect(_: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        del inputs
        found.append(output if isinstance(output, Tensor) else output[0])

    modules = [network.get_submodule(_last(network.architecture, name)) for name in stages(network.architecture)]
    handles = [stage.register_forward_hook(collect) for stage in modules]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def stages(architecture: Architecture) -> tuple[str, ...]:
    """Names of what gives features, in running order: `enc.0`, ..., `latent`, `dec.0`, ..., `refinement`."""
    encoder = (f"enc.{level}" for level in range(architecture.levels))
    decoder = (f"dec.{level}" for level in range(architecture.levels))
    return (*encoder, "latent", *decoder, "refinement")


def _last(architecture: Architecture, stage: str) -> str:
    """The module that a stage ends in."""
    if stage.startswith("enc."):
        return f"{stage}.0"
    if stage.startswith("dec."):
        return f"{stage}.2.layers.{len(architecture.decoder[int(stage[4:])]) - 1}"
    return stage


def feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Mean over the stages of their squared difference, as a share of the mean square of the teacher's features."""
    shares = [
        (mine.float() - other.float()).square().mean() / other.float().square().mean().clamp_min(FAINTEST)
        for mine, other in zip(student, teacher, strict=True)
    ]
    return torch.stack(shares).mean()
