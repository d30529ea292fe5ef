"""Weights of convolutions as MIL stores them: as they are, as 8-bit steps, or as indices into palettes.

Palettes are those of iOS 16 (one for a tensor, indices packed into bytes) or of iOS 18 (one for each block of output
channels, indices of 4 or 6 bits).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from moceir_edge.compress.palettes import indices_of
from moceir_edge.compress.stored_weights import PALETTES, SCALE, steps_of
from moceir_edge.program.program import Constant, Operation
from moceir_edge.targets.mil_emitter import Emitter, Value


def write_weight(e: Emitter, op: Operation) -> Value:
    """Weights (O, I/groups, k, k) of a convolution; Core ML decompresses what is not stored as it is."""
    if SCALE in op.constants:
        return _steps(e, op)
    if PALETTES in op.constants:
        return _palettes(e, op) if e.ios < 18 else _block_palettes(e, op)
    return e.constant(op, op.constants["weight"])


def _steps(e: Emitter, op: Operation) -> Value:
    scale = op.constants[SCALE]
    return e.mb.constexpr_affine_dequantize(
        quantized_data=steps_of(op.constants["weight"], scale),
        zero_point=np.int8(0),
        scale=e.constant(op, scale),
        axis=np.int32(0),
        name=e.name(f"{op.name}.weight"),
    )


def _palettes(e: Emitter, op: Operation) -> Value:
    (palette,), weight = op.constants[PALETTES], op.constants["weight"]
    return e.mb.constexpr_lut_to_dense(
        indices=packed(indices_of(weight, palette[None]), bits=_bits(op.constants)),
        lut=e.constant(op, palette),
        shape=np.array(weight.shape, np.uint32),
        name=e.name(f"{op.name}.weight"),
    )


def _block_palettes(e: Emitter, op: Operation) -> Value:
    from coremltools.converters.mil.mil import types

    palettes, bits = op.constants[PALETTES], _bits(op.constants)
    kind = types.type_mapping.string_to_nptype(f"uint{bits}")
    return e.mb.constexpr_lut_to_dense(
        indices=indices_of(op.constants["weight"], palettes).astype(kind),
        lut=e.constant(op, palettes).reshape(len(palettes), 1, 1, 1, 2**bits, 1),
        name=e.name(f"{op.name}.weight"),
    )


def packed(indices: NDArray[np.uint8], *, bits: int) -> NDArray[np.uint8]:
    """Indices one after the other, each from its lowest bit on, in bytes that are filled from theirs."""
    planes = np.unpackbits(indices.reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return np.packbits(planes, bitorder="little")


def _bits(constants: Mapping[str, Constant]) -> int:
    return int(np.log2(constants[PALETTES].shape[1]))
