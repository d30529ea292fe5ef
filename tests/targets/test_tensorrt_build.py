"""NVIDIA's own parser and builder on small graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from moceir_edge.errors import MissingBackendError, MoceirEdgeError
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.recipe.schema import Recipe, TensorRTOptions
from moceir_edge.targets import tensorrt_api
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.onnx_runtime import session
from moceir_edge.targets.tensorrt_api import Library, load_library
from moceir_edge.targets.tensorrt_build import Built, build_engine, parse
from moceir_edge.targets.tensorrt_graph import require_symmetric, with_float_weights
from moceir_edge.targets.tensorrt_recipe import BuildFlags, build_flags
from moceir_edge.targets.tensorrt_runner import EngineRunner


@pytest.fixture(scope="module")
def library() -> Library:
    """TensorRT, or TensorRT for RTX."""
    try:
        return load_library()
    except MissingBackendError as error:
        pytest.skip(f"not here: {error}")


@pytest.fixture(scope="module")
def network() -> MoceIR:
    """A network of one level, with one expert and random weights."""
    torch.manual_seed(0)
    return MoceIR(build_architecture(8, (1,), 1, (1,), refinement_blocks=1, heads=(1, 2), experts=1)).eval()


def model_bytes(network: MoceIR, *, size: tuple[int, int] | None = (64, 64), half: bool = False) -> bytes:
    """The network as an ONNX file."""
    return onnx_model(lower(network), size=size, half=half).SerializeToString(deterministic=True)


def flags(library: Library, *, size: tuple[int, int] | str = (64, 64), workspace_mib: int = 1024) -> BuildFlags:
    """What a recipe for an engine asks for."""
    if not library.ahead_of_time:
        pytest.skip(f"not here: {library.text} builds only on the GPU that runs the engine")
    options = TensorRTOptions(deliver="engine", workspace_mib=workspace_mib)
    recipe = Recipe.model_validate({"target": "tensorrt", "precision": "float32", "size": size})
    return build_flags(recipe.model_copy(update={"tensorrt": options}), ahead_of_time=library.ahead_of_time)


def quantized_model(zero_point: np.ndarray | None) -> onnx.ModelProto:
    """A picture that goes through QuantizeLinear and DequantizeLinear with this zero point."""
    names = ["scale"] if zero_point is None else ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", *names], ["integer"], name="q"),
        helper.make_node("DequantizeLinear", ["integer", *names], ["restored"], name="dq"),
    ]
    arrays = {"scale": np.array(0.5, np.float32)} | ({} if zero_point is None else {"zero": zero_point})
    image, restored = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3, 8, 8)) for n in ("image", "restored"))
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "quantized", [image], [restored], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("size", [(64, 64), None])
@pytest.mark.parametrize("half", [False, True])
def test_nvidias_parser_reads_what_we_write(
    library: Library, network: MoceIR, size: tuple[int, int] | None, half: bool
) -> None:
    """Fixed and open sizes, float32 and float16 with casts, without an error or a warning."""
    parsed = parse(library, model_bytes(network, size=size, half=half))
    assert parsed.errors == ()
    assert parsed.warnings == ()
    assert parsed.layers > 100


def test_refusal_names_the_node(library: Library) -> None:
    """An operator that TensorRT lacks is a result with the parser's reason, not an exception."""
    image, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 8, 8, 2)) for n in ("image", "out"))
    graph = helper.make_graph([helper.make_node("DFT", ["image"], ["out"], name="wave", axis=1)], "g", [image], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    parsed = parse(library, model.SerializeToString())
    assert parsed.errors
    assert "DFT" in parsed.errors[0]


def test_log_prints_nothing(library: Library, network: MoceIR, capfd: pytest.CaptureFixture[str]) -> None:
    """TensorRT's messages reach neither stdout nor stderr."""
    parse(library, model_bytes(network))
    parse(library, b"no model")
    assert capfd.readouterr() == ("", "")


def test_parser_would_read_unsigned_steps_wrongly(library: Library) -> None:
    """The reason for `require_symmetric`: uint8 zero points are refused or only warned of."""
    parsed = parse(library, quantized_model(np.array(0, np.uint8)).SerializeToString())
    assert parsed.errors or any("UINT8" in message or "INT8" in message for message in parsed.log.messages)


@pytest.mark.parametrize("zero_point", [np.array(3, np.int8), np.array(0, np.uint8), None])
def test_asymmetric_integers_are_refused(zero_point: np.ndarray | None) -> None:
    """Zero points other than int8 zeros never reach TensorRT."""
    with pytest.raises(MoceirEdgeError, match="symmetric int8: q"):
        require_symmetric(quantized_model(zero_point))


def test_symmetric_integers_pass() -> None:
    """Int8 zeros are accepted."""
    require_symmetric(quantized_model(np.array(0, np.int8)))


def test_weights_are_quantized_in_the_graph_for_tensorrt_8() -> None:
    """Integer weights become the floats that they stand for, with a node that gives the same integers again."""
    rng = np.random.default_rng(0)
    integers, scales = rng.integers(-128, 128, (64, 3, 3, 3), np.int8), rng.random(64, np.float32) * 1e-3
    arrays = {"weights": integers, "scale": scales, "zero": np.zeros(64, np.int8)}
    node = helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["restored"], name="dq", axis=0)
    out = helper.make_tensor_value_info("restored", TensorProto.FLOAT, integers.shape)
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph([node], "weights", [], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (before,) = session(model.SerializeToString()).run(None, {})
    with_float_weights(model)
    assert [node.op_type for node in model.graph.node] == ["QuantizeLinear", "DequantizeLinear"]
    assert {tensor.data_type for tensor in model.graph.initializer if tensor.name == "weights"} == {TensorProto.FLOAT}
    (after,) = session(model.SerializeToString()).run(None, {})
    np.testing.assert_array_equal(before, after)
    onnx.checker.check_model(model)


def test_same_engine_from_two_builds(library: Library, network: MoceIR, tmp_path: Path) -> None:
    """An engine is the same file each time, so a resumed run gives the same artifact."""
    (tmp_path / "model.onnx").write_bytes(model_bytes(network, half=True))
    wanted = flags(library)
    engines = [build_engine(library, tmp_path / "model.onnx", wanted) for _ in range(2)]
    assert isinstance(engines[0], Built)
    assert engines[0] == engines[1]


def test_engine_for_open_sizes(library: Library, network: MoceIR, tmp_path: Path) -> None:
    """A profile from 8x8 to Full HD builds if the memory is allowed, else the reason says what to raise."""
    (tmp_path / "model.onnx").write_bytes(model_bytes(network, size=None))
    assert isinstance(
        build_engine(library, tmp_path / "model.onnx", flags(library, size="dynamic", workspace_mib=4096)), Built
    )
    refused = build_engine(library, tmp_path / "model.onnx", flags(library, size="dynamic", workspace_mib=64))
    assert isinstance(refused, str)
    assert "raise workspace_mib above 64" in refused


def test_turing_is_not_promised(library: Library) -> None:
    """Engines built ahead of time leave out 7.5, which has no float32 matrix products there."""
    assert "7.5" not in library.ahead_of_time
    assert not library.ahead_of_time or "8.6" in library.ahead_of_time


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any of the three packages there is one command to run."""
    monkeypatch.setattr(tensorrt_api, "_NAMES", {"no_such_library": "TensorRT"})
    with pytest.raises(MissingBackendError, match=r"pip install 'moceir-edge\[tensorrt\]'"):
        load_library()


def test_engine_runs_on_a_gpu(library: Library, network: MoceIR, tmp_path: Path) -> None:
    """On a GPU the engine gives what PyTorch gives."""
    if not torch.cuda.is_available():
        pytest.skip("not here: an engine needs an NVIDIA GPU to run")
    (tmp_path / "model.onnx").write_bytes(model_bytes(network))
    built = build_engine(library, tmp_path / "model.onnx", flags(library), inspect=True)
    assert isinstance(built, Built)
    assert built.layers is not None
    image = np.random.default_rng(0).random((3, 64, 64), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)[None]).image[0].numpy()
    restored = EngineRunner(library, built.engine, size=(64, 64)).run(image).restored
    np.testing.assert_allclose(restored, expected, atol=1e-3)
