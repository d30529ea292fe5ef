"""Constants of a package that was read back: decompressed, and compared with the program they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moceir_edge.errors import ArtifactError
from moceir_edge.program.program import Kind, Operation, Program
from moceir_edge.targets.mlpackage import Package


def constant_of(op: Any) -> Any:
    """The value of a constant: stored weights decompressed, float arrays as float32 tensors, the rest plain."""
    if op.op_type in _DECOMPRESS:
        return as_typed(_DECOMPRESS[op.op_type](op), op.outputs[0])
    value = op.outputs[0].val
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return torch.from_numpy(value.astype(np.float32))
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _from_steps(op: Any) -> Tensor:
    """scale * (data - zero point) along `axis`, as the definition of the operation says."""
    data, scale = op.quantized_data.val, np.asarray(op.scale.val, np.float32)
    shape = [1] * data.ndim
    shape[op.axis.val] = -1
    steps = data.astype(np.float32) - np.asarray(op.zero_point.val, np.float32)
    return torch.from_numpy(steps * scale.reshape(shape))


def _from_palettes(op: Any) -> Tensor:
    """What the indices stand for; those of iOS 16 have no shape: their bits follow each other, the lowest first."""
    lut = torch.from_numpy(op.lut.val.astype(np.float32))
    if "shape" in op.inputs:
        return _looked_up(_unpacked(op.indices.val, bits=_bits(len(lut)), shape=op.inputs["shape"].val), lut[None])
    blocks, entries = lut.shape[0], lut.shape[-2]
    if lut.numel() != blocks * entries:
        name = op.outputs[0].name
        raise ArtifactError(
            f"lut of {op.op_type} {name}: palettes of vectors, or for blocks of another axis", "export again"
        )
    return _looked_up(torch.from_numpy(op.indices.val.astype(np.int64)), lut.reshape(blocks, entries))


def _unpacked(data: Any, *, bits: int, shape: Any) -> Tensor:
    count = int(np.prod(shape))
    ordered = (data[:, None] >> np.arange(8)) & 1
    each = ordered.reshape(-1)[: count * bits].reshape(count, bits)
    return torch.from_numpy((each << np.arange(bits)).sum(axis=1).reshape([int(side) for side in shape]))


def _looked_up(indices: Tensor, palettes: Tensor) -> Tensor:
    """indices (O, ...); palettes (blocks, entries), each for O / blocks output channels."""
    channels = len(indices) // len(palettes)
    return torch.stack([palettes[number // channels][row] for number, row in enumerate(indices)])


def _bits(entries: int) -> int:
    return entries.bit_length() - 1


_DECOMPRESS: dict[str, Callable[[Any], Tensor]] = {
    "constexpr_affine_dequantize": _from_steps,
    "constexpr_lut_to_dense": _from_palettes,
}


def as_typed(value: Tensor, result: Any) -> Tensor:
    """Rounded to float16 where MIL says so."""
    from coremltools.converters.mil.mil import types

    return value.half().float() if result.dtype is types.fp16 else value


def different_weights(
    package: Package, program: Program, convolutions: Mapping[str, str], *, half: bool
) -> tuple[str, ...]:
    """Convolutions of the program whose weights or biases are not in the package to the last bit.

    convolutions: the package's name of each; half: float16 outside the islands.
    """
    found = {op.outputs[0].name: op.inputs for op in package.operations if op.op_type == "conv"}
    constants = package.constants

    def same(op: Operation, key: str) -> bool:
        expected, stored = op.constants.get(key), found.get(convolutions[op.name], {}).get(key)
        if expected is None or stored is None:
            return expected is None and stored is None
        rounded = expected.astype(np.float16 if half and not op.exact else np.float32)
        if stored.name not in constants:
            return False
        return np.array_equal(rounded.astype(np.float32), constant_of(constants[stored.name]).numpy())

    every = (op for op in program.operations if op.kind is Kind.CONV)
    return tuple(op.name for op in every if not (same(op, "weight") and same(op, "bias")))
