"""The OpenVINO target: the values of ONNX Runtime, integers counted in OpenVINO's own graph, bfloat16 where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.artifacts import Artifact
from moceir_edge.errors import ArtifactError
from moceir_edge.memory import Memory
from moceir_edge.metrics import psnr_db
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.runner import Gated, NetworkRunner
from moceir_edge.targets import to_openvino
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.openvino_library import OpenVinoRunner, compiled, integer_operations
from moceir_edge.targets.to_openvino import TARGET
from moceir_edge.terms import GateState, Precision
from tests.targets.networks import SIZE, expected, exported, full_plan, picture, recipe, small_network

pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


def runner_of(artifact: Artifact, folder: Path) -> OpenVinoRunner:
    """OpenVINO on the CPU."""
    runner = TARGET.runner(artifact, folder)
    assert isinstance(runner, OpenVinoRunner)
    return runner


def test_int8_is_no_louder_than_in_onnx_runtime(program: Program, tmp_path: Path) -> None:
    """The same file in two runtimes, against float32; with activations as int8 OpenVINO lost 30 dB here."""
    narrow = recipe("openvino", "int8", quantize={"reduced_range": True})  # exact without VNNI, too
    artifact = exported(TARGET, program, narrow, tmp_path)
    ours = runner_of(artifact, tmp_path).run(picture()).restored
    theirs = OnnxRunner(tmp_path / artifact.model, size=SIZE, wide_sums=True).run(picture()).restored
    floats = expected(program, picture()).restored
    assert psnr_db(floats, ours) > psnr_db(floats, theirs) - 3


def test_integers_are_counted_in_its_own_graph(program: Program, tmp_path: Path) -> None:
    """A full plan reaches nearly all MACs; a float artifact has no integer kernel."""
    artifact = exported(TARGET, program, recipe("openvino", "int8"), tmp_path / "int8")
    share = artifact.counts.integer_share
    assert share is not None
    assert 0.6 < share <= 1
    found = integer_operations(compiled(tmp_path / "int8" / artifact.model, hint="f32"))
    planned = set(full_plan(TARGET.prepare(program, recipe("openvino", "int8"))).integer)
    assert len(found & planned) > 0.8 * len(planned)
    plain = exported(TARGET, program, recipe("openvino"), tmp_path / "float")
    assert plain.counts.integer_share is None
    assert not integer_operations(compiled(tmp_path / "float" / plain.model, hint="f32"))


@pytest.mark.parametrize("size", [(8, 8), (16, 64), (72, 40)])
def test_dynamic_serves_any_multiple_of_8(program: Program, tmp_path: Path, size: tuple[int, int]) -> None:
    """One file, many sizes."""
    runner = runner_of(exported(TARGET, program, recipe("openvino", size="dynamic"), tmp_path), tmp_path)
    image = picture(size=size)
    assert psnr_db(expected(program, image).restored, runner.run(image).restored) > 100


def test_gates_may_come_from_the_caller(tmp_path: Path) -> None:
    """With the gates that the network chooses it gives the network's picture."""
    network = small_network()
    program = lower(network, gates_input=True)
    runner = runner_of(exported(TARGET, program, recipe("openvino", gates_input=True), tmp_path), tmp_path)
    chooser = NetworkRunner(network)
    wanted = chooser.run(picture()).restored
    assert psnr_db(wanted, Gated(runner, chooser).run(picture()).restored) > 100


def test_a_cpu_without_bfloat16_proves_nothing_of_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32 stands in, and says so: neither artifact is verified by it."""
    monkeypatch.setattr(to_openvino, "floats_here", lambda _: Precision.FLOAT32)
    artifact = exported(TARGET, program, recipe("openvino", "bfloat16"), tmp_path / "bfloat16")
    found = runner_of(artifact, tmp_path / "bfloat16")
    assert found.floats == "f32"
    assert "no bfloat16" in found.stands_in
    mixed = recipe("openvino", "int8", openvino={"floats": "bfloat16"})
    integers = exported(TARGET, program, mixed, tmp_path / "int8")
    assert "no bfloat16" in runner_of(integers, tmp_path / "int8").stands_in


def test_bfloat16_runs_in_bfloat16(program: Program, tmp_path: Path) -> None:
    """Where the CPU has it: near to float32, and not equal."""
    artifact = exported(TARGET, program, recipe("openvino", "bfloat16"), tmp_path)
    runner = runner_of(artifact, tmp_path)
    if runner.stands_in:
        pytest.skip(f"not here: {runner.stands_in}")
    assert runner.floats == "bf16"
    assert 20 < psnr_db(expected(program, picture()).restored, runner.run(picture()).restored) < 100


def test_proofs_say_what_was_done(program: Program, tmp_path: Path) -> None:
    """It was read and compiled; nobody has run it on a picture."""
    proofs = exported(TARGET, program, recipe("openvino"), tmp_path).proofs
    assert (proofs.parsed.state, proofs.built.state) == (GateState.PASSED, GateState.PASSED)
    assert proofs.executed.state is GateState.NOT_RUN


def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ArtifactError) as caught:
        compiled(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy == "export it again"


def test_memory_is_measured_in_a_process_of_its_own(program: Program, tmp_path: Path) -> None:
    """OpenVINO's own, for a fixed size and an open one."""
    for name, size in (("fixed", SIZE), ("dynamic", "dynamic")):
        artifact = exported(TARGET, program, recipe("openvino", size=size), tmp_path / name)
        found = TARGET.memory(artifact, tmp_path / name)
        assert isinstance(found, Memory)
        assert 20 < found.base_mib < 1000
