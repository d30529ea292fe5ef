"""The ONNX target: standard operators, any opset that is offered, and the numbers of the program."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from moceir_edge.artifacts import Artifact
from moceir_edge.errors import ArtifactError
from moceir_edge.metrics import psnr_db
from moceir_edge.network.golden import golden_network
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.runner import Gated, NetworkRunner, Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.to_onnx import MODEL_FILE, TARGET
from moceir_edge.terms import GateState
from tests.golden import SHARP
from tests.targets.networks import expected, exported, picture, recipe, small_network

FORBIDDEN = {"If", "Loop", "Scan", "NonZero", "TopK", "DFT", "RandomNormal", "RandomUniform", "Dropout", "ScatterND"}


pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


def runner_of(artifact: Artifact, folder: Path) -> OnnxRunner:
    """ONNX Runtime on the CPU."""
    runner: Runner | str = TARGET.runner(artifact, folder)
    assert isinstance(runner, OnnxRunner)
    return runner


@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21])
@pytest.mark.parametrize("size", ["dynamic", (32, 40)])
def test_graph_has_no_choice_in_it(program: Program, tmp_path: Path, opset: int, size: object) -> None:
    """Every offered opset: standard operators, no control flow, no search, nothing random, and it runs."""
    artifact = exported(TARGET, program, recipe("onnx", size=size, opset=opset), tmp_path)
    model = onnx.load(tmp_path / MODEL_FILE)
    kinds = Counter(node.op_type for node in model.graph.node)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert not FORBIDDEN & set(kinds)
    assert not any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute)
    found = runner_of(artifact, tmp_path).run(picture())
    assert psnr_db(expected(program, picture()).restored, found.restored) > 100


def test_parsed_and_built_are_proved_and_nothing_else(program: Program, tmp_path: Path) -> None:
    """A session was made of it; nobody has run it on a picture, or on a device."""
    proofs = exported(TARGET, program, recipe("onnx"), tmp_path).proofs
    assert (proofs.parsed.state, proofs.built.state) == (GateState.PASSED, GateState.PASSED)
    assert (proofs.executed.state, proofs.executed_on_device.state) == (GateState.NOT_RUN, GateState.NOT_RUN)


def test_outputs_have_their_names_and_shapes(program: Program, tmp_path: Path) -> None:
    """As the interface says, float32 whatever is inside."""
    artifact = exported(TARGET, program, recipe("onnx", "float16"), tmp_path)
    graph = onnx.load(tmp_path / MODEL_FILE).graph
    for said, found in ((artifact.interface.inputs, graph.input), (artifact.interface.outputs, graph.output)):
        shapes = {
            value.name: tuple(dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim)
            for value in found
        }
        assert shapes == {tensor.name: tensor.shape for tensor in said}
        assert {value.type.tensor_type.elem_type for value in found} == {TensorProto.FLOAT}


@pytest.mark.parametrize("size", [(8, 8), (16, 64), (72, 40)])
def test_dynamic_serves_any_multiple_of_8(program: Program, tmp_path: Path, size: tuple[int, int]) -> None:
    """One file, many sizes; agreement and scores are those of the program."""
    runner = runner_of(exported(TARGET, program, recipe("onnx", size="dynamic"), tmp_path), tmp_path)
    image = picture(size=size)
    found, wanted = runner.run(image), expected(program, image)
    assert runner.size is None
    assert psnr_db(wanted.restored, found.restored) > 100
    assert found.agreement == pytest.approx(wanted.agreement)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)


def test_dynamic_and_fixed_are_the_same_function(program: Program, tmp_path: Path) -> None:
    """Only the sizes are written down; a fixed one computes fewer nodes."""
    runners, counts = [], []
    for name, size in (("dynamic", "dynamic"), ("fixed", (32, 40))):
        artifact = exported(TARGET, program, recipe("onnx", size=size), tmp_path / name)
        runners.append(runner_of(artifact, tmp_path / name))
        counts.append(len(onnx.load(tmp_path / name / MODEL_FILE).graph.node))
    dynamic, fixed = (runner.run(picture()).restored for runner in runners)
    assert psnr_db(dynamic, fixed) > 120
    assert runners[1].size == (32, 40)
    assert counts[1] < counts[0]


def test_gates_may_come_from_the_caller(tmp_path: Path) -> None:
    """With the gates that the network chooses it gives the network's picture; with others, another one."""
    network = golden_network("tiny", sharpness=SHARP)
    program = lower(network, gates_input=True)
    artifact = exported(TARGET, program, recipe("onnx", gates_input=True), tmp_path)
    runner = runner_of(artifact, tmp_path)
    chooser = NetworkRunner(network)
    assert [tensor.name for tensor in artifact.interface.inputs] == ["image", "gates"]
    wanted = chooser.run(picture())
    assert wanted.scores is not None
    assert psnr_db(wanted.restored, Gated(runner, chooser).run(picture()).restored) > 80
    assert wanted.chosen is not None
    other = runner.run_gated(picture(), wanted.chosen[:, ::-1].copy())
    assert psnr_db(wanted.restored, other.restored) < 60


def test_an_artifact_decides_once_and_obeys_after(tmp_path: Path) -> None:
    """Without gates its own routers decide, as in an artifact that takes none; `chosen`, given back, is the same."""
    network = small_network()
    gated = exported(TARGET, lower(network, gates_input=True), recipe("onnx", gates_input=True), tmp_path / "gated")
    plain = exported(TARGET, lower(network), recipe("onnx"), tmp_path / "plain")
    runner, own = runner_of(gated, tmp_path / "gated"), runner_of(plain, tmp_path / "plain").run(picture())
    assert own.scores is not None
    free = runner.run_gated(picture(), np.zeros_like(own.scores))
    assert free.chosen is not None
    assert (np.count_nonzero(free.chosen, axis=1) == 1).all()
    again = runner.run_gated(picture(), free.chosen)
    assert psnr_db(own.restored, free.restored) > 120
    assert np.array_equal(free.restored, again.restored)
    assert np.array_equal(free.chosen, again.chosen)


def test_islands_stay_in_float32(program: Program, tmp_path: Path) -> None:
    """In a float16 graph exactly the operations that the artifact lists give float32."""
    artifact = exported(TARGET, program, recipe("onnx", "float16"), tmp_path)
    model = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / MODEL_FILE), strict_mode=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    prepared = TARGET.prepare(program, recipe("onnx", "float16"))
    named = {op.name: op for op in prepared.operations if op.name in kinds}
    assert artifact.islands == prepared.islands
    assert len(named) > 100
    for name, op in named.items():
        assert kinds[name] == (TensorProto.FLOAT if op.exact else TensorProto.FLOAT16), name
    restored = runner_of(artifact, tmp_path).run(picture()).restored
    assert 50 < psnr_db(expected(program, picture()).restored, restored) < 110


def test_float16_weights_take_half_the_bytes(program: Program, tmp_path: Path) -> None:
    """Few weights are in islands."""
    sizes = []
    for precision in ("float32", "float16"):
        exported(TARGET, program, recipe("onnx", precision), tmp_path / precision)
        model = onnx.load(tmp_path / precision / MODEL_FILE)
        sizes.append(sum(len(tensor.raw_data) for tensor in model.graph.initializer))
    assert sizes[1] < 0.75 * sizes[0]


def test_two_exports_are_one_file(program: Program, tmp_path: Path) -> None:
    """No time, no path, no random name."""
    for name in ("a", "b"):
        exported(TARGET, program, recipe("onnx", "float16", size="dynamic"), tmp_path / name)
    assert (tmp_path / "a" / MODEL_FILE).read_bytes() == (tmp_path / "b" / MODEL_FILE).read_bytes()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """With a remedy."""
    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ArtifactError, match="ONNX Runtime does not load the model"):
        OnnxRunner(tmp_path / "model.onnx", size=None)
