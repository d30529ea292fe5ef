"""Qualcomm's NPUs: what its own compiler takes, and what its emulation makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from moceir_edge.compress.rounding import LEVELS, WIDE_LEVELS
from moceir_edge.errors import ArtifactError
from moceir_edge.metrics import psnr_db
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Chip
from moceir_edge.runner import NetworkRunner
from moceir_edge.targets import qnn_library
from moceir_edge.targets.to_onnx import MODEL_FILE
from moceir_edge.targets.to_qnn import CONTEXT_FILE, OPERATIONS_FILE, TARGET
from moceir_edge.terms import GateState
from tests.targets.networks import exported, full_plan, picture, recipe, small_network

LEAST_DB = {16: 55.0, 8: 42.0}
"""From the network in float32; measured 59.3 and 50.8 dB."""


pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [16, 8])
def test_integers_run_on_the_emulated_npu(program: Program, tmp_path: Path, bits: int) -> None:
    """Every planned convolution is in integers in the graph that the compiler was given, and pictures agree."""
    artifact = exported(TARGET, program, recipe("qnn", "int8", quantize={"activation_bits": bits}), tmp_path)
    for proof in (artifact.proofs.parsed, artifact.proofs.built, artifact.proofs.emulated):
        assert proof.state is GateState.PASSED, proof.reason
    assert artifact.proofs.executed.state is GateState.NOT_RUN
    assert artifact.counts.integer_share is not None
    assert artifact.counts.integer_share > 0.6
    counted = json.loads((tmp_path / OPERATIONS_FILE).read_text(encoding="utf-8"))
    planned = len(full_plan(TARGET.prepare(program, recipe("qnn", "int8"))).integer)
    convolutions = (counted[kind].get(f"{bits}-bit integers", 0) for kind in ("Conv2d", "DepthWiseConv2d"))
    assert sum(convolutions) == planned
    runner = TARGET.emulator(artifact, tmp_path)
    assert runner is not None
    restored = runner.run(picture()).restored
    wanted = NetworkRunner(small_network()).run(picture()).restored
    assert psnr_db(wanted, restored) > LEAST_DB[bits]


@pytest.mark.slow
@pytest.mark.parametrize("chip", qnn_library.NPUS)
def test_every_chip_has_its_own_context(program: Program, tmp_path: Path, chip: Chip) -> None:
    """The compiler knows them all, and says for which one a context is."""
    given = recipe("qnn", "float16", qnn={"chip": chip})
    artifact = exported(TARGET, program, given, tmp_path)
    npu = qnn_library.NPUS[chip]
    assert npu.name in artifact.proofs.built.reason
    assert f"HTP v{npu.htp_arch}" in artifact.proofs.emulated.reason
    assert artifact.proofs.emulated.state is GateState.PASSED
    assert artifact.counts.integer_share is None


def test_wide_activations_keep_their_ranges(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16-bit steps are 258 times as fine, around the same zero; weights keep their 8 bits."""
    monkeypatch.setattr("moceir_edge.targets.to_qnn.compile_context", refuse)
    steps = {}
    for bits in (8, 16):
        given = recipe("qnn", "int8", quantize={"activation_bits": bits})
        with pytest.raises(ArtifactError, match="not compiled"):
            exported(TARGET, program, given, tmp_path / str(bits))
        model = onnx.load(tmp_path / str(bits) / MODEL_FILE)
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        nodes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
        steps[bits] = {node.name: arrays[node.input[1]] for node in nodes}
        assert {int(arrays[node.input[2]]) for node in nodes} == {2 ** (bits - 1)}
        weights = [array for array in arrays.values() if array.dtype == np.int8 and array.ndim == 4]
        assert weights
    assert steps[8].keys() == steps[16].keys()
    for name, step in steps[8].items():
        assert steps[16][name] == pytest.approx(step * LEVELS / WIDE_LEVELS, rel=1e-6)


def refuse(*_: object) -> None:
    """In place of the compiler."""
    raise ArtifactError("not compiled", "nothing")


def test_what_the_compiler_refuses_is_said(tmp_path: Path) -> None:
    """A damaged model ends its process, and its reason is one line."""
    (tmp_path / "model.onnx").write_bytes(b"no model")
    npu = qnn_library.NPUS["snapdragon_8_gen_2"]
    with pytest.raises(ArtifactError, match=r"Qualcomm's compiler refuses the model for Snapdragon 8 Gen 2.*: Error: "):
        qnn_library.compile_context(tmp_path / "model.onnx", tmp_path / CONTEXT_FILE, tmp_path, npu)
    assert not (tmp_path / CONTEXT_FILE).exists()


def test_a_damaged_context_is_refused(tmp_path: Path) -> None:
    """And no process is left waiting."""
    (tmp_path / CONTEXT_FILE).write_bytes(b"no context")
    with pytest.raises(ArtifactError, match="onnxruntime-qnn does not run the model: Error"):
        qnn_library.emulated(tmp_path / CONTEXT_FILE, qnn_library.NPUS["snapdragon_8_elite"], size=(32, 40))
