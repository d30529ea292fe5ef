"""Stored weights in MIL: packed as Core ML reads them, and decompressed here as coremltools does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moceir_edge.compress.stored_weights import Storage, Stored, with_stored_weights
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_constants import constant_of, different_weights
from moceir_edge.targets.mil_program import emit
from moceir_edge.targets.mil_weights import packed
from moceir_edge.targets.mlpackage import Description, read_package, write_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

DESCRIPTION = Description("", "", "", "", {"image": "", "restored": ""}, {})


def program_of(stored: Stored, storage: Storage) -> Program:
    """A convolution without symmetry, (48, 3, 5, 7)-like: more channels out than in, weights growing with them."""
    drawn = np.random.default_rng(1).standard_normal((48, 3, 3, 3)) * np.arange(1, 49).reshape(-1, 1, 1, 1)
    builder = Builder()
    x = builder.add(Kind.INPUT, "image")
    x = builder.add(Kind.CONV, "conv", x, constants={"weight": drawn}, groups=1)
    program = Program(tuple(builder.operations), {"restored": x}, (), 0)
    return with_stored_weights(program, {"conv": stored}, storage)


@pytest.mark.parametrize("ios", [17, 18])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("stored", Stored)
def test_weights_come_back_as_coremltools_decompresses_them(
    stored: Stored, half: bool, ios: int, tmp_path: Path
) -> None:
    """From the package's bits, by our reading and by coremltools' own, the program's weights to the last bit."""
    program = program_of(stored, Storage(half=half, blocks=ios >= 18))
    emitted = emit(program, (8, 16), half=half, picture=False, ios=ios)
    write_package({"main": emitted.program}, tmp_path / "x.mlpackage", picture=False, ios=ios, description=DESCRIPTION)
    package = read_package(tmp_path / "x.mlpackage")
    (op,) = (op for op in package.constants.values() if op.op_type != "const")
    theirs = op.materialized_val_inference().astype(np.float32)
    np.testing.assert_array_equal(constant_of(op).numpy(), theirs)
    np.testing.assert_array_equal(theirs, program.operations[1].constants["weight"])
    assert different_weights(package, program, emitted.convolutions, half=half) == ()


@pytest.mark.parametrize(("stored", "kind"), [(Stored.PALETTE_4, "uint4"), (Stored.PALETTE_6, "uint6")])
def test_ios_18_has_a_palette_for_each_block(stored: Stored, kind: str, tmp_path: Path) -> None:
    """Three blocks of 16 channels, whose indices take 4 or 6 bits in the file."""
    from coremltools.converters.mil.mil import types

    program = program_of(stored, Storage(half=True, blocks=True))
    emitted = emit(program, (8, 16), half=True, picture=False, ios=18)
    path = tmp_path / "x.mlpackage"
    write_package({"main": emitted.program}, path, picture=False, ios=18, description=DESCRIPTION)
    (op,) = (op for op in read_package(path).constants.values() if op.op_type != "const")
    assert op.lut.shape == (3, 1, 1, 1, 2**stored.bits, 1)
    assert types.builtin_to_string(op.indices.dtype) == kind
    weights = next(path.rglob("weight.bin")).stat().st_size
    assert weights < 48 * 27 * stored.bits / 8 + 3 * 2**stored.bits * 2 + 4 * 64


def test_indices_are_packed_from_the_lowest_bit_on() -> None:
    """The example in the definition of constexpr_lut_to_dense: 0, 2, 3, 1 and 3 in 2 bits are 0b01111000 and 0b11."""
    assert packed(np.array([0, 2, 3, 1, 3], np.uint8), bits=2).tolist() == [0b01111000, 0b11]


@pytest.mark.parametrize("bits", [4, 6])
def test_packing_is_coremltools_own(bits: int) -> None:
    """An odd number of indices, which ends within a byte."""
    from coremltools.optimize._utils import pack_elements_into_bits

    indices = np.random.default_rng(0).integers(0, 2**bits, 1237).astype(np.uint8)
    np.testing.assert_array_equal(packed(indices, bits=bits), pack_elements_into_bits(indices, bits))
