"""Cutting a network: whole blocks, and the channels of its spaces; what stays is copied, nothing is decided here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch

from moceir_edge.errors import PlanError
from moceir_edge.narrowing.spaces import Cut, Space, spaces
from moceir_edge.network.architecture import (
    Architecture,
    AttentionShape,
    BlockShape,
    DecoderBlockShape,
    ExpertShape,
)
from moceir_edge.network.network import MoceIR

Kept = Mapping[str, Sequence[int]]
"""Channels that stay, ascending, by the name of their space; a space that is not named stays whole."""


def cut_channels(network: MoceIR, kept: Kept) -> MoceIR:
    """The network with these channels alone, in evaluation mode; PlanError for channels that do not fit together."""
    state = network.state_dict()
    for name, axes in _cuts_by_tensor(spaces(network.architecture)).items():
        if name not in state:
            continue
        for axis, cuts in axes.items():
            positions = torch.cat(
                [torch.from_numpy(cut.positions(kept.get(space.name, range(space.size)))) for space, cut in cuts]
            )
            state[name] = state[name].index_select(axis, positions)
    narrowed = MoceIR(cut_architecture(network.architecture, kept))
    try:
        narrowed.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    except RuntimeError as error:
        raise PlanError(
            f"the channels do not fit together: {str(error).splitlines()[1].strip()}", "plan again"
        ) from error
    return narrowed.eval()


def _cuts_by_tensor(every: Sequence[Space]) -> dict[str, dict[int, list[tuple[Space, Cut]]]]:
    """For each axis of each tensor its cuts, by their offset."""
    found: dict[str, dict[int, list[tuple[Space, Cut]]]] = {}
    for space in every:
        for cut in space.cuts:
            found.setdefault(cut.tensor, {}).setdefault(cut.axis, []).append((space, cut))
    for axes in found.values():
        for cuts in axes.values():
            cuts.sort(key=lambda pair: pair[1].offset)
    return found


def cut_architecture(architecture: Architecture, kept: Kept) -> Architecture:
    """The shape of what `cut_channels` gives."""

    def attention(name: str, shape: AttentionShape) -> AttentionShape:
        channels = kept.get(name, range(shape.channels))
        heads = {channel // (shape.channels // shape.heads) for channel in channels}
        return AttentionShape(len(heads), len(channels))

    def hidden(name: str, size: int) -> int:
        return len(kept.get(name, range(size)))

    def block(name: str, shape: BlockShape) -> BlockShape:
        return BlockShape(attention(f"{name}.mixer", shape.attention), hidden(f"{name}.ffn", shape.feed_forward))

    def stack(prefix: str, shapes: Sequence[BlockShape]) -> tuple[BlockShape, ...]:
        return tuple(block(f"{prefix}.{position}", shape) for position, shape in enumerate(shapes))

    def expert(name: str, shape: ExpertShape | None) -> ExpertShape | None:
        return None if shape is None else replace(shape, rank=hidden(f"{name}.body", shape.rank))

    def decoder_block(name: str, shape: DecoderBlockShape) -> DecoderBlockShape:
        return replace(
            shape,
            shared=attention(f"{name}.shared", shape.shared),
            mixer=attention(f"{name}.mixer", shape.mixer),
            feed_forward=hidden(f"{name}.ffn", shape.feed_forward),
            experts=tuple(expert(f"{name}.adapter.experts.{i}", e) for i, e in enumerate(shape.experts)),
        )

    return Architecture(
        width=hidden("enc.0", architecture.width),
        encoder=tuple(stack(f"enc.{i}.0.layers", shapes) for i, shapes in enumerate(architecture.encoder)),
        latent=stack("latent.layers", architecture.latent),
        decoder=tuple(
            tuple(decoder_block(f"dec.{level}.2.layers.{i}", shape) for i, shape in enumerate(shapes))
            for level, shapes in enumerate(architecture.decoder)
        ),
        refinement=stack("refinement.layers", architecture.refinement),
    )


def block_names(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """The blocks that may go, stack by stack: those of the encoder, of the latent level and of the refinement."""
    stacks = [(f"enc.{level}.0.layers", shapes) for level, shapes in enumerate(architecture.encoder)]
    stacks += [("latent.layers", architecture.latent), ("refinement.layers", architecture.refinement)]
    return tuple(tuple(f"{prefix}.{position}" for position in range(len(shapes))) for prefix, shapes in stacks)


def drop_blocks(network: MoceIR, dropped: Collection[str]) -> tuple[MoceIR, dict[str, str]]:
    """The network without these blocks, and what those that stay were called before, by their new name.

    Blocks that stay are numbered anew. PlanError where a stack would have none left.
    """
    before: dict[str, str] = {}
    for stack in block_names(network.architecture):
        stay = [name for name in stack if name not in dropped]
        if not stay:
            raise PlanError(f"{stack[0].rsplit('.', 1)[0]} would have no block left", "keep one of them")
        before |= dict(zip(stack, stay, strict=False))
    network_left = MoceIR(shortened(network.architecture, before))
    state = network.state_dict()
    network_left.load_state_dict({name: state[earlier_name(name, before)] for name in network_left.state_dict()})
    return network_left.eval(), before


def shortened(whole: Architecture, before: Mapping[str, str]) -> Architecture:
    """The shape without the blocks that `before` does not name; the whole one where it is empty."""
    if not before:
        return whole
    stay, names = set(before.values()), block_names(whole)

    def left(stack: tuple[str, ...], shapes: tuple[BlockShape, ...]) -> tuple[BlockShape, ...]:
        return tuple(shape for name, shape in zip(stack, shapes, strict=True) if name in stay)

    return replace(
        whole,
        encoder=tuple(left(names[level], shapes) for level, shapes in enumerate(whole.encoder)),
        latent=left(names[-2], whole.latent),
        refinement=left(names[-1], whole.refinement),
    )


def earlier_name(name: str, before: Mapping[str, str]) -> str:
    """What a tensor or module of a shortened network was called in the whole one."""
    block = next((new for new in before if name == new or name.startswith(f"{new}.")), None)
    return name if block is None else before[block] + name[len(block) :]
