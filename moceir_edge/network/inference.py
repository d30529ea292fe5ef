"""Reading the architecture from the names and shapes of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from moceir_edge.errors import CheckpointError
from moceir_edge.network.architecture import Architecture, AttentionShape, BlockShape, DecoderBlockShape, ExpertShape
from moceir_edge.records import Record

Shapes = Mapping[str, tuple[int, ...]]


MOST_EXPERTS, LARGEST_WINDOW = 64, 1024
"""Of a layer, and of an expert; the published networks have 4 and 32. More is damage, and would fill the memory."""


class LayerNotes(Record):
    """What shapes cannot say about a routed layer.

    experts: how many the full model had; windows: frequency window of each kept expert by original index;
    served: indices the layer may choose; mean_gate: the gate folded into proj_out, if it was.
    """

    experts: int
    windows: dict[int, int]
    served: tuple[int, ...]
    mean_gate: float | None = None

    @classmethod
    def of(cls, block: DecoderBlockShape) -> Self:
        """The notes of a block."""
        windows = {index: expert.window for index, expert in enumerate(block.experts) if expert is not None}
        return cls(experts=len(block.experts), windows=windows, served=block.served, mean_gate=block.mean_gate)


def architecture_from_shapes(shapes: Shapes, notes: Mapping[str, LayerNotes] | None, *, path: Path) -> Architecture:
    """The architecture of a checkpoint; CheckpointError names the tensor or the note that is wrong."""
    return _Reader(shapes, notes, path).architecture()


class _Reader:
    def __init__(self, shapes: Shapes, notes: Mapping[str, LayerNotes] | None, path: Path) -> None:
        self.shapes, self.notes, self.path = shapes, notes, path

    def architecture(self) -> Architecture:
        if "patch_embed.proj.weight" not in self.shapes:
            raise CheckpointError(
                f"{self.path}: not a MoCE-IR checkpoint (no tensor patch_embed.proj.weight)",
                "give a checkpoint of MoCE-IR, of any size",
            )
        levels = self.count("enc.")
        architecture = Architecture(
            width=self.dimension("patch_embed.proj.weight", 0),
            encoder=tuple(self.blocks(f"enc.{level}.0.layers.") for level in range(levels)),
            latent=self.blocks("latent.layers."),
            decoder=tuple(self.decoder_blocks(f"dec.{level}.2.layers.") for level in range(levels)),
            refinement=self.blocks("refinement.layers."),
        )
        if self.notes is not None and set(self.notes) != set(architecture.layers):
            raise self.disagreement("names other routed layers than its tensors")
        return architecture

    def count(self, prefix: str) -> int:
        """How many numbered children there are behind a prefix."""
        numbers = {name[len(prefix) :].split(".", 1)[0] for name in self.shapes if name.startswith(prefix)}
        if not numbers:
            raise CheckpointError(f"{self.path}: tensor {prefix}0… is missing", "give the whole checkpoint")
        return max(int(number) for number in numbers if number.isdigit()) + 1

    def dimension(self, name: str, axis: int) -> int:
        if name not in self.shapes:
            raise CheckpointError(f"{self.path}: tensor {name} is missing", "give the whole checkpoint")
        shape = self.shapes[name]
        if axis >= len(shape) or shape[axis] < 1:
            raise CheckpointError(f"{self.path}: tensor {name} has shape {shape}", "give a checkpoint of MoCE-IR")
        return shape[axis]

    def attention(self, prefix: str, first: str, parts: int) -> AttentionShape:
        heads = self.dimension(f"{prefix}.temperature", 0)
        channels, rest = divmod(self.dimension(f"{prefix}.{first}.weight", 0), parts)
        if rest or channels % heads:
            raise CheckpointError(
                f"{self.path}: tensor {prefix}.{first}.weight does not divide into {parts} parts of {heads} heads",
                "give a checkpoint of MoCE-IR",
            )
        return AttentionShape(heads, channels)

    def blocks(self, prefix: str) -> tuple[BlockShape, ...]:
        return tuple(
            BlockShape(
                self.attention(f"{prefix}{position}.mixer", "qkv", 3),
                self.dimension(f"{prefix}{position}.ffn.project_out.weight", 1),
            )
            for position in range(self.count(prefix))
        )

    def decoder_blocks(self, prefix: str) -> tuple[DecoderBlockShape, ...]:
        return tuple(self.decoder_block(f"{prefix}{position}") for position in range(self.count(prefix)))

    def decoder_block(self, name: str) -> DecoderBlockShape:
        routing = f"{name}.adapter.routing.gate.2.weight"
        router = self.notes is None or routing in self.shapes
        note = self.note(name, routing)
        experts = tuple(
            ExpertShape(self.dimension(f"{name}.adapter.experts.{i}.0.proj.0.weight", 0), note.windows[i])
            if i in note.windows
            else None
            for i in range(note.experts)
        )
        return DecoderBlockShape(
            shared=self.attention(f"{name}.shared", "qkv", 3),
            mixer=self.attention(f"{name}.mixer", "q", 1),
            feed_forward=self.dimension(f"{name}.ffn.project_out.weight", 1),
            experts=experts,
            served=note.served,
            router=router,
            mean_gate=note.mean_gate,
        )

    def note(self, name: str, routing: str) -> LayerNotes:
        if self.notes is None:
            experts = self.dimension(routing, 0)
            windows = {index: 4 << index for index in range(experts)}
            return LayerNotes(experts=experts, windows=windows, served=tuple(range(experts)))
        if name not in self.notes:
            raise self.disagreement(f"says nothing about layer {name}")
        note = self.notes[name]
        served, kept = set(note.served), set(note.windows)
        if not 1 <= note.experts <= MOST_EXPERTS:
            raise self.disagreement(f"gives layer {name} {note.experts} experts, not 1 to {MOST_EXPERTS}")
        for index, window in note.windows.items():
            if window not in range(2, LARGEST_WINDOW + 1, 2):
                allowed = f"no even number up to {LARGEST_WINDOW}"
                raise self.disagreement(f"gives expert {index} of layer {name} a window of {window}, {allowed}")
        if not served or not served <= set(range(note.experts)) or not kept <= served:
            raise self.disagreement(f"serves impossible experts in layer {name}")
        if routing in self.shapes and self.dimension(routing, 0) != note.experts:
            raise self.disagreement(f"has another number of experts than the router of layer {name}")
        if routing not in self.shapes and (note.mean_gate is None or (len(served) > 1 and kept)):
            raise self.disagreement(f"needs the router of layer {name}, which is missing")
        return note

    def disagreement(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: its metadata {what}", "write the file again from its source")
