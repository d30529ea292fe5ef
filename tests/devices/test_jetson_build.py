"""The build script for Jetson, run for real with TensorRT for RTX standing in for TensorRT."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from moceir_edge.errors import MissingBackendError
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.network import MoceIR
from moceir_edge.program.lower import lower
from moceir_edge.recipe.schema import Recipe
from moceir_edge.resources import resource
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.tensorrt_api import load_library
from moceir_edge.targets.to_tensorrt import TARGET

SCRIPTS = ("build.py", "build_cache.py", "build_engine.py")


@pytest.fixture(scope="module")
def network() -> MoceIR:
    """A network of one level, with one expert and random weights."""
    torch.manual_seed(0)
    return MoceIR(build_architecture(8, (1,), 1, (1,), refinement_blocks=1, heads=(1, 2), experts=1)).eval()


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module `tensorrt` that is the library installed here under another name."""
    try:
        name = load_library().module.__name__
    except MissingBackendError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("stand_in")
    (folder / "tensorrt.py").write_text(f"import sys, {name}\nsys.modules['tensorrt'] = {name}\n")
    return folder


@pytest.fixture
def artifact(network: MoceIR, tmp_path: Path) -> Path:
    """What the export gives for a Jetson."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    recipe = Recipe.model_validate({"target": "tensorrt", "precision": "float16", "size": (64, 64)})
    TARGET.export(lower(network), recipe, (), folder)
    return folder


def run_script(artifact: Path, stand_in: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON line and stderr of build.py."""
    result = subprocess.run(
        [sys.executable, str(artifact / "build.py"), *options],
        env={"PYTHONPATH": str(stand_in), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.count("\n") == 1, result.stderr
    return result.returncode, json.loads(result.stdout), result.stderr


def script(name: str) -> ModuleType:
    """One of the scripts as a module."""
    spec = importlib.util.spec_from_file_location(name, resource("devices") / "jetson" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SCRIPTS)
def test_syntax_of_an_old_device(name: str) -> None:
    """JetPack 5 has Python 3.8, and nothing but TensorRT can be expected there."""
    tree = ast.parse((resource("devices") / "jetson" / name).read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= sys.stdlib_module_names | {"__future__", "tensorrt", "build_cache", "build_engine"}


def test_parse_only(artifact: Path, stand_in: Path) -> None:
    """The parser reads the model; nothing is built."""
    code, said, _ = run_script(artifact, stand_in, "--parse-only")
    assert (code, said["status"]) == (0, "parsed")
    assert said["layers"] > 100
    assert said["key"]["model"] == json.loads((artifact / "build.json").read_text())["model_sha256"]
    assert not (artifact / "engines").exists()


def test_engine_is_built_once(artifact: Path, stand_in: Path) -> None:
    """The second run reuses the engine, --force builds again."""
    code, built, _ = run_script(artifact, stand_in)
    assert (code, built["status"]) == (0, "built")
    assert Path(built["engine"]).stat().st_size > 100_000
    _, again, _ = run_script(artifact, stand_in)
    assert (again["status"], again["engine"], again["refused"]) == ("reused", built["engine"], {})
    assert run_script(artifact, stand_in, "--force")[1]["status"] == "built"


def test_foreign_engines_are_refused(artifact: Path, stand_in: Path) -> None:
    """An engine of another TensorRT, one without a note and an altered one are named, and a new one is built."""
    _, built, _ = run_script(artifact, stand_in)
    engine = Path(built["engine"])
    note = json.loads(engine.with_suffix(".json").read_text())
    note["key"]["tensorrt"] = "8.5.2.2"
    (engine.parent / "other.engine").write_bytes(engine.read_bytes())
    (engine.parent / "other.json").write_text(json.dumps(note))
    (engine.parent / "unknown.engine").write_bytes(b"engine")
    engine.write_bytes(engine.read_bytes() + b"more")
    code, said, stderr = run_script(artifact, stand_in)
    assert (code, said["status"]) == (0, "built")
    assert said["refused"]["other.engine"].startswith("built for tensorrt 8.5.2.2, here ")
    assert "nobody knows" in said["refused"]["unknown.engine"]
    assert "altered" in said["refused"][engine.name]
    assert "other.engine is not used" in stderr


def test_altered_model_is_refused(artifact: Path, stand_in: Path) -> None:
    """A model that is not the one of build.json is the user's to copy again."""
    with (artifact / "model.onnx").open("ab") as file:
        file.write(b"x")
    code, said, _ = run_script(artifact, stand_in)
    assert code == 2
    assert "sha256 differs" in said["reason"]


def test_missing_tensorrt_is_said(artifact: Path, tmp_path: Path) -> None:
    """Without TensorRT's Python package there is one line, no traceback."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so is not there')\n")
    code, said, stderr = run_script(artifact, tmp_path)
    assert code == 2
    assert "libnvinfer.so is not there" in said["reason"]
    assert "Traceback" not in stderr


def test_lost_quantizing_layers_are_refused(artifact: Path, stand_in: Path) -> None:
    """A parser that makes fewer int8 layers than the model has is not trusted."""
    build = json.loads((artifact / "build.json").read_text())
    (artifact / "build.json").write_text(json.dumps(build | {"quantize_nodes": 7}))
    code, said, _ = run_script(artifact, stand_in, "--parse-only")
    assert code == 3
    assert "0 of 7 quantize layers" in said["reason"]


def test_types_for_tensorrt_8_are_those_of_the_model(network: MoceIR) -> None:
    """What TensorRT 8 is told layer by layer is what a strongly typed network finds by itself."""
    engine = script("build_engine")
    try:
        trt = load_library().module
    except MissingBackendError as error:
        pytest.skip(str(error))
    model = onnx_model(lower(network), size=(64, 64), half=True).SerializeToString()
    parsed = engine.parse(trt, model, engine.make_log(trt))
    planned = engine.planned_types(trt, parsed.network)
    assert {kind for _, kind in planned} == {trt.float16, trt.float32}
    assert all(layer.get_output(0).dtype == kind for layer, kind in planned)


@pytest.mark.parametrize(("precision", "expected"), [("float32", []), ("float16", ["FP16"]), ("int8", ["INT8"])])
def test_flags_for_tensorrt_8(precision: str, expected: list[str]) -> None:
    """Types are obeyed there, not preferred."""
    flags: list[str] = []
    config = SimpleNamespace(set_flag=flags.append)
    trt = SimpleNamespace(
        BuilderFlag=SimpleNamespace(FP16="FP16", INT8="INT8", OBEY_PRECISION_CONSTRAINTS="OBEY"),
        LayerType=SimpleNamespace(CONSTANT="constant"),
        float32="float32",
        float16="float16",
    )
    script("build_engine").fix_types(trt, SimpleNamespace(num_inputs=0, num_layers=0), config, precision)
    assert flags == [*expected, *(["OBEY"] if expected else [])]


def test_inspector_names_what_really_runs() -> None:
    """Layers are counted by the type they give, in the words of TensorRT 8 and 10."""
    outputs = ["Row major linear FP32", "Channel major FP16 format where channel % 8 == 0", "Half", "Int8", "Bool"]
    layers = [{"Name": str(i), "Outputs": [{"Format/Datatype": text}]} for i, text in enumerate(outputs)]
    counted = script("build_engine").layer_types(json.dumps({"Layers": layers}))
    assert counted == {"float32": 1, "float16": 2, "int8": 1, "other": 1}
