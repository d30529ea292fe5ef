"""How the weights of convolutions are stored: as floats, in 8 bits on a linear scale, or as indices into palettes.

What is stored decompresses to weights in the number format of the convolution. These weights travel in the program,
and what they decompress from with them, so that whatever runs the program sees what the artifact will compute with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from moceir_edge.compress.palettes import blocks_of, indices_of, looked_up, tables_of
from moceir_edge.program.program import Constant, Kind, Operation, Program
from moceir_edge.records import Record, Skipped

SCALE, PALETTES = "scale", "palettes"
"""Constants of a convolution beside its weight, which nothing computes with: scale (O,), palettes (blocks, entries)."""

SMALLEST = 2048
"""Below so many values a weight is left alone: the default of coremltools' own weight quantization."""

LARGEST_STEP = 127
_LEAST_SCALE = float(np.finfo(np.float16).smallest_subnormal)


class Stored(StrEnum):
    """8-bit linear: q (int8) and a scale for each output channel; palettes of 64 and of 16 values."""

    LINEAR_8 = "linear-8"
    PALETTE_6 = "palette-6"
    PALETTE_4 = "palette-4"

    @property
    def bits(self) -> int:
        """Of an index or a step."""
        return {Stored.LINEAR_8: 8, Stored.PALETTE_6: 6, Stored.PALETTE_4: 4}[self]


class Storage(Record):
    """Where weights are stored: half: decompressed to float16; blocks: a palette for each block of output channels,
    or one for the whole weight.
    """

    half: bool
    blocks: bool

    def blocks_in(self, op: Operation) -> int:
        """Palettes of a convolution."""
        return blocks_of(len(op.constants["weight"])) if self.blocks else 1

    def size_bytes(self, op: Operation, stored: Stored | None) -> int:
        """Of the weight of a convolution, with its scales or palettes; None: as it is."""
        weight, number = op.constants["weight"], 2 if self.half and not op.exact else 4
        match stored:
            case None:
                return weight.size * number
            case Stored.LINEAR_8:
                return weight.size + len(weight) * number
            case Stored.PALETTE_6 | Stored.PALETTE_4:
                return -(-weight.size * stored.bits // 8) + self.blocks_in(op) * 2**stored.bits * number


def with_stored_weights(program: Program, stored: Mapping[str, Stored], storage: Storage) -> Program:
    """The named convolutions with the weights that they are stored with."""
    operations = (
        weights_stored(op, stored[op.name], storage) if op.name in stored else op for op in program.operations
    )
    return replace(program, operations=tuple(operations))


def with_steps(program: Program, names: Iterable[str], *, half: bool) -> Program:
    """The named convolutions with weights in 8-bit steps, as integer kernels read them."""
    return with_stored_weights(program, dict.fromkeys(names, Stored.LINEAR_8), Storage(half=half, blocks=False))


def weights_stored(op: Operation, stored: Stored, storage: Storage) -> Operation:
    """A convolution with the weights that it is stored with, and with their scale or palettes."""
    weight = op.constants["weight"]
    if stored is Stored.LINEAR_8:
        restored, scale = in_steps(weight, half=storage.half)
        return replace(op, constants={**op.constants, "weight": restored, SCALE: scale})
    palettes = tables_of(weight, entries=2**stored.bits, blocks=storage.blocks_in(op), half=storage.half)
    restored = looked_up(indices_of(weight, palettes), palettes)
    return replace(op, constants={**op.constants, "weight": restored, PALETTES: palettes})


def in_steps(weight: Constant, *, half: bool) -> tuple[Constant, Constant]:
    """Weights (O, I/groups, k, k) on 8-bit steps, and the scales (O,); half: both are numbers of float16."""
    scale = _scale(weight, half=half)
    steps = steps_of(weight, scale) * scale.reshape(-1, 1, 1, 1)
    return steps.astype(np.float16 if half else np.float32).astype(np.float32), scale


def left_alone(op: Operation) -> str | None:
    """Why a convolution keeps its weights, or None."""
    if op.exact:
        return "float32 islands keep their weights"
    if op.attributes["groups"] > 1:
        return "depthwise: 9 or 49 values per channel save little and round worst"
    if op.constants["weight"].size < SMALLEST:
        return f"fewer than {SMALLEST} values"
    return None


def storable(program: Program) -> tuple[Operation, ...]:
    """Convolutions whose weights may be stored in fewer bits."""
    return tuple(op for op in program.operations if op.kind is Kind.CONV and left_alone(op) is None)


def skipped(program: Program) -> tuple[Skipped, ...]:
    """The convolutions that keep their weights, by reason."""
    values: dict[str, list[int]] = {}
    for op in program.operations:
        if op.kind is Kind.CONV and (reason := left_alone(op)) is not None:
            values.setdefault(reason, []).append(op.constants["weight"].size)
    return tuple(
        Skipped(what=f"smaller weights of {len(sizes)} convolutions, {sum(sizes)} values", reason=reason)
        for reason, sizes in values.items()
    )


def weights_in_words(program: Program, *, half: bool) -> str:
    """How many convolutions store their weights how."""
    kinds: Counter[str] = Counter()
    for op in program.operations:
        if op.kind is Kind.CONV:
            kinds[_in_words(op, half=half)] += 1
    return ", ".join(f"{count} {kind}" if len(kinds) > 1 else kind for kind, count in kinds.most_common())


def _in_words(op: Operation, *, half: bool) -> str:
    if SCALE in op.constants:
        return "8-bit linear"
    if PALETTES in op.constants:
        return f"{op.constants[PALETTES].shape[1].bit_length() - 1}-bit palette"
    return "float16" if half and not op.exact else "float32"


def steps_of(weight: Constant, scale: Constant) -> NDArray[np.int8]:
    """q of weights (O, I/groups, k, k), next to multiples of their channel's scale (O,)."""
    steps: Constant = np.rint(weight / scale.reshape(-1, 1, 1, 1))
    return np.clip(steps, -LARGEST_STEP, LARGEST_STEP).astype(np.int8)


def _scale(weight: Constant, *, half: bool) -> Constant:
    """(O,): rounded up, so that the largest weight of a channel is never beyond 127 steps."""
    wanted = np.maximum(np.abs(weight).max(axis=(1, 2, 3)) / np.float32(LARGEST_STEP), _LEAST_SCALE)
    near = wanted.astype(np.float16 if half else np.float32)
    return np.where(near < wanted, np.nextafter(near, near.dtype.type(np.inf)), near).astype(np.float32)
