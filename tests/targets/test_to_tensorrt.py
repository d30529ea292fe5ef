"""The TensorRT target: what lands in the folder, and what is claimed about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import measure_ranges
from moceir_edge.errors import MoceirEdgeError
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs
from moceir_edge.program.program import Kind, Program
from moceir_edge.recipe.read import read_recipe
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import sha256_of_file
from moceir_edge.resources import resource
from moceir_edge.runner import Runner
from moceir_edge.targets import to_tensorrt
from moceir_edge.targets.target import Exported
from moceir_edge.targets.tensorrt_build import Built
from moceir_edge.targets.tensorrt_runner import EngineRunner
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.targets.to_tensorrt import TARGET
from moceir_edge.terms import GateState, Precision
from tests.targets.networks import UNHEARD, artifact_of
from tests.targets.test_tensorrt_runner import fake_library

SIZE = (64, 64)


pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


@pytest.fixture(scope="module")
def network() -> MoceIR:
    """A network of one level, with one expert and random weights."""
    torch.manual_seed(0)
    return MoceIR(build_architecture(8, (1,), 1, (1,), refinement_blocks=1, heads=(1, 2), experts=1)).eval()


@pytest.fixture(scope="module")
def program(network: MoceIR) -> Program:
    """The network as a program."""
    return lower(network)


def recipe(precision: str = "float16", **options: Any) -> Recipe:
    """A recipe for a fixed size."""
    return Recipe.model_validate({"target": "tensorrt", "precision": precision, "size": SIZE, "tensorrt": options})


def export(program: Program, given: Recipe, folder: Path) -> Exported:
    """Export with two crops of noise, and an int8 plan that quantizes every candidate."""
    crops = [np.random.default_rng(seed).random((1, 3, *SIZE), np.float32) for seed in range(2)]
    if given.precision is Precision.INT8:
        ranges = measure_ranges(program, [Crop(crop) for crop in crops], [1.0] * len(crops))
        plan = PrecisionPlan(integer=ranges, skipped=(), integer_share=1.0, simulated=UNHEARD)
        plan.write(folder / PLAN_FILE)
    return TARGET.export(TARGET.prepare(program, given), given, crops, folder)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_jetson_gets_onnx_with_recipe_and_scripts(program: Program, precision: str, tmp_path: Path) -> None:
    """Parsed here, built by nobody yet, and build.json names the file it belongs to."""
    exported = export(program, recipe(precision), tmp_path)
    build = json.loads((tmp_path / "build.json").read_text())
    assert exported.model == "model.onnx"
    assert exported.proofs.parsed.state is GateState.PASSED
    assert "layers" in exported.proofs.parsed.reason
    if not torch.cuda.is_available():
        assert exported.proofs.built.state is GateState.NOT_RUN
        assert "ONNX Runtime running the same ONNX file" in exported.proofs.executed.reason
    assert build["model_sha256"] == sha256_of_file(tmp_path / "model.onnx")
    assert build["flags"]["precision"] == precision
    assert build["flags"]["tf32"] is False
    for name in ("build.py", "build_cache.py", "build_engine.py"):
        assert (tmp_path / name).read_bytes() == (resource("devices") / "jetson" / name).read_bytes()


def test_rtx_gets_an_engine(program: Program, tmp_path: Path) -> None:
    """Built without a GPU, for the capabilities that build.json lists, with the ONNX file beside it."""
    exported = export(program, recipe(deliver="engine"), tmp_path)
    build = json.loads((tmp_path / "build.json").read_text())
    if not build["flags"]["compute_capabilities"]:
        pytest.skip("not here: TensorRT builds only on the GPU that runs the engine")
    assert exported.model == "model.engine"
    assert exported.proofs.built.state is GateState.PASSED
    assert "8.6" in build["flags"]["compute_capabilities"]
    assert {path.name for path in tmp_path.iterdir()} == {"model.engine", "model.onnx", "build.json"}


def test_an_open_size_ends_with_the_profile(program: Program, tmp_path: Path) -> None:
    """The artifact says where."""
    said = {"target": "tensorrt", "precision": "float16", "overflow_size": (128, 192)}
    assert export(program, Recipe.model_validate(said), tmp_path).largest == (128, 192)
    assert export(program, recipe(), tmp_path).largest is None


def test_native_norms_are_one_layer_each(program: Program, network: MoceIR, tmp_path: Path) -> None:
    """The parser takes them, they compute the same, and JetPack 5 is no longer promised."""
    given = recipe("float32", norms="native")
    exported = export(program, given, tmp_path)
    assert exported.proofs.parsed.state is GateState.PASSED
    operators = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    norms = [op for op in program.operations if op.kind is Kind.NORM]
    assert operators.count("LayerNormalization") == len(norms) > 4
    build = json.loads((tmp_path / "build.json").read_text())
    assert "5.1" not in [row["jetpack"] for row in build["expected"]]
    assert build["needs"] == ["ONNX opset 17", "the operator LayerNormalization"]
    runner = TARGET.runner(artifact_of(program, given, exported), tmp_path)
    assert not isinstance(runner, str)
    assert_restores(runner, network)


@pytest.mark.parametrize("opset", [17, 20])
def test_int8_is_counted_in_the_parsed_network(program: Program, opset: int, tmp_path: Path) -> None:
    """Every planned convolution is found between its own pairs; their share of MACs is what the gate judges."""
    given = Recipe.model_validate({"target": "tensorrt", "precision": "int8", "size": SIZE, "opset": opset})
    exported = export(program, given, tmp_path)
    build = json.loads((tmp_path / "build.json").read_text())
    planned = PrecisionPlan.read(tmp_path / PLAN_FILE).integer
    assert exported.proofs.parsed.state is GateState.PASSED
    assert f"{len(planned)} of {len(planned)} planned int8 convolutions" in exported.proofs.parsed.reason
    assert exported.integer_share == pytest.approx(sum(build["plan"]["integer"].values()) / build["plan"]["macs"])
    assert build["plan"]["macs"] == macs(program, *SIZE)
    assert any("inspector tells on the device" in note.reason for note in exported.skipped)


@pytest.mark.parametrize(("opset", "kind"), [(17, TensorProto.FLOAT), (20, TensorProto.INT8)])
def test_weights_are_what_the_oldest_release_takes(program: Program, opset: int, kind: int, tmp_path: Path) -> None:
    """TensorRT 8 quantizes float32 weights by itself; a file for later releases alone holds integers."""
    given = Recipe.model_validate({"target": "tensorrt", "precision": "int8", "size": SIZE, "opset": opset})
    export(program, given, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
    planned = PrecisionPlan.read(tmp_path / PLAN_FILE).integer
    makers = {name: node for node in model.graph.node for name in node.output}

    def origin(name: str) -> str:
        return name if name in stored else origin(makers[name].input[0])

    weights = [origin(node.input[1]) for node in model.graph.node if node.name in planned]
    assert {stored[name] for name in weights} == {kind}


def test_same_folder_from_two_exports(program: Program, tmp_path: Path) -> None:
    """Nothing that is written contains a time or a path."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        export(program, recipe(deliver="engine"), folder)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second


def test_rows_without_a_gpu_come_from_onnx_runtime(program: Program, network: MoceIR, tmp_path: Path) -> None:
    """The runner computes what the network computes, from the file that TensorRT gets."""
    given = recipe("float32", deliver="engine")
    artifact = artifact_of(program, given, export(program, given, tmp_path))
    runner = TARGET.runner(artifact, tmp_path)
    assert not isinstance(runner, str)
    assert_restores(runner, network)
    if not torch.cuda.is_available():
        assert runner.provider == "CPUExecutionProvider"  # type: ignore[attr-defined]


def assert_restores(runner: Runner, network: MoceIR) -> None:
    """Equal to PyTorch, on noise."""
    image = np.random.default_rng(0).random((3, *SIZE), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)[None]).image[0].numpy()
    np.testing.assert_allclose(runner.run(image).restored, expected, atol=1e-4)


def written_instead(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Make the export write a graph of one operator."""
    image, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 8, 8, 2)) for n in ("image", "out"))
    inputs = ["image"] if kind == "DFT" else ["image", "image"]
    graph = helper.make_graph([helper.make_node(kind, inputs, ["out"], name="wave")], "g", [image], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def write(program: Program, given: Recipe, crops: Any, path: Path, *, unsigned: bool) -> Exported:
        assert not unsigned
        onnx.save(model, path)
        return Exported(model=path.name, proofs=to_tensorrt.Proofs(), versions={})

    monkeypatch.setattr(to_tensorrt, "write_onnx", write)


def test_refused_graph_is_a_failed_proof(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the parser does not read is failed with its reason, and no engine is tried."""
    written_instead(monkeypatch, "DFT")
    exported = export(program, recipe(deliver="engine"), tmp_path)
    assert exported.proofs.parsed.state is GateState.FAILED
    assert "DFT" in exported.proofs.parsed.reason
    assert exported.proofs.built.reason == "the parser refused the graph"
    assert exported.model == "model.onnx"


def test_unsigned_integers_are_our_own_fault(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A graph whose zero points are not int8 zeros does not leave the export."""
    written_instead(monkeypatch, "QuantizeLinear")
    with pytest.raises(MoceirEdgeError, match="symmetric int8"):
        export(program, recipe(), tmp_path)


@pytest.mark.parametrize(("loads", "state"), [(True, GateState.FAILED), (False, GateState.NOT_RUN)])
def test_engine_on_a_gpu_is_executed(
    loads: bool, state: GateState, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that does not run has failed; one that this GPU does not take says nothing about the engine."""
    fake = fake_library(loads=loads, fault=float("nan"))
    monkeypatch.setattr(to_tensorrt, "gpu_missing", lambda: None)
    monkeypatch.setattr(to_tensorrt, "build_engine", lambda *_, **__: Built(b"engine"))
    monkeypatch.setattr(
        to_tensorrt, "EngineRunner", lambda *_, **__: EngineRunner(fake, b"", size=(8, 16), device="cpu")
    )
    assert export(program, recipe(deliver="engine"), tmp_path).proofs.executed.state is state


@pytest.mark.parametrize(("name", "deliver"), [("jetson", "onnx"), ("rtx", "engine")])
def test_bundled_recipes(name: str, deliver: str) -> None:
    """Both recipes are read, and stay with the opset that every release reads."""
    given = read_recipe(resource("export") / f"{name}.yaml")
    assert given.tensorrt_options.deliver == deliver
    assert given.precision is Precision.FLOAT16
    assert given.opset == 17
