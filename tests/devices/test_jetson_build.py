"""The build script for Jetson, run for real with TensorRT for RTX standing in for TensorRT."""

from __future__ import annotations

import ast
import json
import resource as resource_limits
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
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
from moceir_edge.targets.to_tensorrt import SCRIPT_FILES, TARGET
from tests.devices.scripts import script


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
        pytest.skip(f"not here: {error}")
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


def run_script(
    artifact: Path, stand_in: Path, *options: str, largest_file: int | None = None
) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON line and stderr of build.py; largest_file: bytes after which the system writes no more."""

    def limit() -> None:
        assert largest_file is not None
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource_limits.setrlimit(resource_limits.RLIMIT_FSIZE, (largest_file, largest_file))

    result = subprocess.run(
        [sys.executable, "-B", str(artifact / "build.py"), *options],
        env={"PYTHONPATH": str(stand_in), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=None if largest_file is None else limit,
    )
    assert result.stdout.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.returncode, json.loads(result.stdout), result.stderr


def rewritten(artifact: Path, **changes: Any) -> None:
    """Change fields of build.json; None takes one away."""
    build = json.loads((artifact / "build.json").read_text()) | changes
    (artifact / "build.json").write_text(json.dumps({name: v for name, v in build.items() if v is not None}))


def pretend(folder: Path, version: str) -> Path:
    """A folder with a module that says it is TensorRT of this version, as far as it is asked before it works."""
    folder.mkdir()
    (folder / "tensorrt.py").write_text(f"__version__ = {version!r}\nclass ILogger:\n    pass\n")
    return folder


@pytest.mark.parametrize("name", SCRIPT_FILES)
def test_syntax_of_an_old_device(name: str) -> None:
    """JetPack 5 has Python 3.8, and nothing but TensorRT can be expected there."""
    tree = ast.parse((resource("devices") / "jetson" / name).read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    own = {Path(name).stem for name in SCRIPT_FILES}
    assert imported <= sys.stdlib_module_names | {"__future__", "tensorrt"} | own


def test_parse_only(artifact: Path, stand_in: Path) -> None:
    """The parser reads the model; nothing is built."""
    code, said, _ = run_script(artifact, stand_in, "--parse-only")
    assert (code, said["status"]) == (0, "parsed")
    assert said["layers"] > 100
    assert said["key"]["model"] == json.loads((artifact / "build.json").read_text())["model_sha256"]
    assert not (artifact / "engines").exists()


def test_engine_is_built_once(artifact: Path, stand_in: Path) -> None:
    """The second run reuses the engine, --force builds again, with what the first build measured."""
    code, built, _ = run_script(artifact, stand_in)
    assert (code, built["status"], built["timing_cache_used"]) == (0, "built", False)
    assert Path(built["engine"]).stat().st_size > 100_000
    assert len(list((artifact / "engines").glob("timing-*.cache"))) == 1
    _, again, _ = run_script(artifact, stand_in)
    assert (again["status"], again["engine"], again["refused"]) == ("reused", built["engine"], {})
    forced = run_script(artifact, stand_in, "--force")[1]
    assert (forced["status"], forced["timing_cache_used"]) == ("built", True)


def test_damaged_timing_cache_stops_nothing(artifact: Path, stand_in: Path) -> None:
    """It only makes builds shorter, so one that does not fit is left alone and written anew."""
    assert run_script(artifact, stand_in)[0] == 0
    (cache,) = (artifact / "engines").glob("timing-*.cache")
    cache.write_bytes(b"no timing cache")
    code, said, _ = run_script(artifact, stand_in, "--force")
    assert (code, said["status"]) == (0, "built")
    assert cache.read_bytes() != b"no timing cache"


def test_foreign_engines_are_refused(artifact: Path, stand_in: Path) -> None:
    """An engine of another TensorRT and GPU, one without a note and an altered one are named; a new one is built."""
    _, built, _ = run_script(artifact, stand_in)
    engine = Path(built["engine"])
    note = json.loads(engine.with_suffix(".json").read_text())
    note["key"].update(tensorrt="8.5.2.2", compute_capability="8.7")
    (engine.parent / "other.engine").write_bytes(engine.read_bytes())
    (engine.parent / "other.json").write_text(json.dumps(note))
    (engine.parent / "unknown.engine").write_bytes(b"engine")
    engine.write_bytes(engine.read_bytes() + b"more")
    code, said, stderr = run_script(artifact, stand_in)
    assert (code, said["status"]) == (0, "built")
    assert "compute_capability 8.7, here" in said["refused"]["other.engine"]
    assert "tensorrt 8.5.2.2, here" in said["refused"]["other.engine"]
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


def test_missing_model_is_said(artifact: Path, stand_in: Path) -> None:
    """A folder that was copied in part names the file that lacks."""
    (artifact / "model.onnx").unlink()
    code, said, _ = run_script(artifact, stand_in)
    assert code == 2
    assert "model.onnx is not beside build.json (No such file or directory): copy the artifact again" in said["reason"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no usable build.json"),
        ("[]", "has schema None, this script reads 2"),
        ('{"schema_version": 1}', "has schema 1, this script reads 2: copy both from one export"),
        ("null", "has schema None"),
        ("3", "has schema None"),
        ("[" * 100_000, "no usable build.json"),
        (
            '{"schema_version": 2, "model": "model.onnx"}',
            "build.json is damaged: model_sha256 is missing; flags is missing; plan is missing and 4 more",
        ),
    ],
    ids=["cut", "list", "older", "null", "number", "deep", "incomplete"],
)
def test_damaged_recipe_is_said(artifact: Path, stand_in: Path, text: str, reason: str) -> None:
    """build.json that is cut off, of another release of this project, or incomplete."""
    (artifact / "build.json").write_text(text)
    code, said, _ = run_script(artifact, stand_in)
    assert code == 2
    assert reason in said["reason"]


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("flags", {}, "flags.precision is missing; flags.optimization_level is missing"),
        ("flags", None, "flags is no object"),
        ("flags.precision", "int4", 'flags.precision is "int4"'),
        ("flags.tf32", 0, "flags.tf32 is 0"),
        ("flags.workspace_mib", -1, "flags.workspace_mib is -1"),
        ("flags.compute_capabilities", ["new"], 'flags.compute_capabilities.0 is "new"'),
        (
            "flags.profiles",
            {"image": {"minimum": [1, 3, 8, 8], "optimum": 8, "maximum": [0]}},
            "image.optimum is no list",
        ),
        ("model", 5, "model is 5"),
        ("model", "a\0b", "is not beside build.json"),
        ("expected", [{}], "expected.0.tensorrt is missing"),
        ("expected", [{"tensorrt": "ten", "jetpack": "6.1"}], 'expected.0.tensorrt is "ten"'),
        ("expected", 3, "expected is no list"),
        ("plan.integer", {"conv": True}, "plan.integer.conv is true"),
        ("quantize_nodes", "0", 'quantize_nodes is "0"'),
    ],
)
def test_damage_in_the_recipe_is_said_with_its_place(
    artifact: Path, stand_in: Path, place: str, value: Any, reason: str
) -> None:
    """Before TensorRT starts, in the line that the caller reads."""
    build = json.loads((artifact / "build.json").read_text())
    *outer, last = place.split(".")
    (build[outer[0]] if outer else build)[last] = value
    (artifact / "build.json").write_text(json.dumps(build))
    code, said, _ = run_script(artifact, stand_in, "--parse-only")
    assert code == 2
    assert reason in said["reason"]


def test_missing_tensorrt_is_said(artifact: Path, tmp_path: Path) -> None:
    """Without TensorRT's Python package there is one line, no traceback."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so is not there')\n")
    code, said, _ = run_script(artifact, tmp_path)
    assert code == 2
    assert "libnvinfer.so is not there" in said["reason"]


def test_too_old_a_tensorrt_names_the_jetpack_that_would_do(artifact: Path, tmp_path: Path) -> None:
    """Said before the parser gives up with words of its own."""
    newer = [row for row in json.loads((artifact / "build.json").read_text())["expected"] if row["opset"] >= 20]
    rewritten(artifact, expected=newer, needs=["ONNX opset 20", "the operator Gelu"])
    code, said, _ = run_script(artifact, pretend(tmp_path / "old", "8.5.2.2"))
    assert code == 2
    assert said["reason"] == (
        "TensorRT 8.5.2.2 is here, and the model needs ONNX opset 20 and the operator Gelu: "
        "TensorRT 10.3 or later, which comes with JetPack 6.1, 6.2"
    )


def test_missing_gpu_is_said(artifact: Path, tmp_path: Path) -> None:
    """TensorRT builds on the GPU that runs the engine; without one there is nothing to start."""
    if torch.cuda.is_available():
        pytest.skip("not here: a GPU is")
    code, said, _ = run_script(artifact, pretend(tmp_path / "new", "10.3.0"))
    assert code == 2
    assert said["reason"].startswith("no NVIDIA GPU can be seen")


def test_gpu_without_fp8_is_said() -> None:
    """Orin has JetPack 6 and 7, whose parsers read FP8, and no kernels for it."""
    release, trt = script("build_release"), SimpleNamespace(__version__="10.16")
    build = {"flags": {"precision": "fp8"}}
    with pytest.raises(script("build_cache").Problem, match=r"compute capability 8\.7\) does not compute in FP8"):
        release.require_gpu(trt, {"compute_capability": "8.7"}, build)
    release.require_gpu(trt, {"compute_capability": "11.0"}, build)


@pytest.mark.parametrize("largest_file", [50_000, 0])
def test_full_disk_leaves_nothing_half_written(artifact: Path, stand_in: Path, largest_file: int) -> None:
    """What cannot be written whole is not there at all, and the reason is the system's."""
    code, said, stderr = run_script(artifact, stand_in, largest_file=largest_file)
    assert code == 2
    assert "cannot be written (File too large)" in said["reason"]
    assert said["reason"] in stderr
    assert [path for path in (artifact / "engines").iterdir() if not path.name.startswith("timing-")] == []
    assert run_script(artifact, stand_in)[1]["status"] == "built"


def test_lost_quantizing_layers_are_refused(artifact: Path, stand_in: Path) -> None:
    """A parser that makes fewer int8 layers than the model has is not trusted."""
    rewritten(artifact, quantize_nodes=7)
    code, said, _ = run_script(artifact, stand_in, "--parse-only")
    assert code == 3
    assert "made 0 of 7 quantize layers" in said["reason"]


def test_types_for_tensorrt_8_are_those_of_the_model(network: MoceIR) -> None:
    """What TensorRT 8 is told layer by layer is what a strongly typed network finds by itself."""
    engine = script("build_engine")
    try:
        trt = load_library().module
    except MissingBackendError as error:
        pytest.skip(f"not here: {error}")
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


def test_cache_that_cannot_be_written_is_said_before_minutes_of_building(artifact: Path, stand_in: Path) -> None:
    """A place that takes no files is no reason to build first."""
    code, said, stderr = run_script(artifact, stand_in, "--cache", str(artifact / "model.onnx"))
    assert code == 2
    assert "cannot be written" in said["reason"]
    assert "building for" not in stderr


INSPECTED = {"Layers": [{"Name": "a + conv", "LayerType": "CaskConvolution", "Weights": {"Type": "Half"}}]}


def fake_engine(context: SimpleNamespace | None) -> SimpleNamespace:
    """As much of TensorRT as reading an engine back takes."""
    inspector = SimpleNamespace(get_engine_information=lambda kind: json.dumps(INSPECTED))
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector, create_execution_context=lambda: context)
    runtime = SimpleNamespace(deserialize_cuda_engine=lambda data: engine if data == b"own" else None)
    kinds = SimpleNamespace(JSON="json")
    return SimpleNamespace(Runtime=lambda log: runtime, LayerInformationFormat=kinds, inspector=inspector)


def test_account_is_kept_beside_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a device that loads the engine: the inspector's words, what they mean for the plan, and one line."""
    sizes: dict[str, tuple[int, ...]] = {}
    context = SimpleNamespace(set_input_shape=sizes.__setitem__)
    trt, path = fake_engine(context), tmp_path / "key.engine"
    path.write_bytes(b"own")
    build = {
        "flags": {"profiles": {"image": {"optimum": [1, 3, 480, 640]}}, "precision": "int8"},
        "plan": {"integer": {"conv": 7}, "macs": 10, "islands": []},
    }
    found = script("build").loaded(trt, path, build, {"compute_capability": "8.7"}, SimpleNamespace())
    assert sizes == {"image": (1, 3, 480, 640)}
    assert trt.inspector.execution_context is context
    assert json.loads((tmp_path / "key.layers.json").read_text()) == INSPECTED
    account = json.loads((tmp_path / "key.account.json").read_text())
    assert account == found["account"]
    assert account["integer"]["others"] == {"conv": "float16"}
    assert capsys.readouterr().err == "int8: 0 of 1 planned convolutions, 0 % of MACs (not: conv float16)\n"


def test_engine_that_does_not_load_is_told_from_one_that_does(tmp_path: Path) -> None:
    """The caller then builds again, or says so."""
    path = tmp_path / "key.engine"
    path.write_bytes(b"foreign")
    build = {"flags": {"profiles": {}}, "plan": {}}
    loaded = script("build").loaded
    trt = fake_engine(SimpleNamespace())
    assert loaded(trt, path, build, {"compute_capability": "8.7"}, SimpleNamespace()) is None
    assert loaded(trt, path, build, {"compute_capability": None}, SimpleNamespace()) == {"loaded": False}


def test_key_holds_what_an_engine_depends_on() -> None:
    """Another model, release, CUDA, GPU, driver or flag is another engine; a timing cache outlives models and flags."""
    cache = script("build_cache")
    trt = SimpleNamespace(__version__="10.3.0")
    build = {"model_sha256": "m", "flags": {"precision": "int8"}}
    key = cache.engine_key(trt, build)
    assert set(key) == {"model", "tensorrt", "cuda", "compute_capability", "gpu", "board", "driver", "flags"}
    paths = {cache.engine_path(Path(), {**key, name: "another"}) for name in key} | {cache.engine_path(Path(), key)}
    assert len(paths) == len(key) + 1
    timings = {cache.timing_path(Path(), {**key, name: "another"}) for name in key} | {cache.timing_path(Path(), key)}
    assert len(timings) == len(key) - 1


class FakeDriver:
    """A GPU of compute capability 8.7, as the driver tells of it."""

    def __init__(self, name: bytes, multiprocessors: int) -> None:
        self.name, self.attributes = name, {75: 8, 76: 7, 16: multiprocessors}

    def cuInit(self, flags: int) -> int:  # noqa: N802 (the driver's own name)
        return flags

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: int) -> int:  # noqa: N802
        value._obj.value = self.attributes[attribute]
        return device

    def cuDeviceGetName(self, text: Any, length: int, device: int) -> int:  # noqa: N802
        text.value = self.name[: length - 1]
        return device

    def cuDriverGetVersion(self, value: Any) -> int:  # noqa: N802
        value._obj.value = 12060
        return 0


def test_gpus_of_one_compute_capability_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AGX Orin and Orin Nano are both 8.7: an engine and timings of one are not those of the other."""
    cache, paths = script("build_cache"), set()
    boards = [("Orin", 16, "AGX Orin"), ("Orin", 8, "AGX Orin"), ("nvgpu", 8, "AGX Orin"), ("nvgpu", 8, "Orin Nano")]
    for name, multiprocessors, board in boards:
        driver = FakeDriver(name.encode(), multiprocessors)
        (tmp_path / "model").write_bytes(f"NVIDIA Jetson {board} Developer Kit\0".encode())
        monkeypatch.setattr(cache, "BOARD_NOTE", tmp_path / "model")
        monkeypatch.setattr(cache, "shared_library", lambda *names, d=driver: d if "libcuda.so.1" in names else None)
        key = cache.engine_key(SimpleNamespace(__version__="10.3.0"), {"model_sha256": "m", "flags": {}})
        assert (key["compute_capability"], key["gpu"]) == ("8.7", f"{name}, {multiprocessors} multiprocessors")
        assert key["board"] == f"NVIDIA Jetson {board} Developer Kit"
        paths |= {cache.engine_path(Path(), key), cache.timing_path(Path(), key)}
    assert len(paths) == 2 * len(boards)


def test_engine_is_inspected_without_memory_for_a_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the weights say is kept, and that types of open sizes are not known is said."""
    trt, path = fake_engine(None), tmp_path / "key.engine"
    path.write_bytes(b"own")
    build = {
        "flags": {"profiles": {"image": {"optimum": [1, 3, 480, 640]}}, "precision": "int8"},
        "plan": {"integer": {"conv": 7}, "macs": 10, "islands": []},
    }
    log = SimpleNamespace(messages=["out of memory"])
    found = script("build").loaded(trt, path, build, {"compute_capability": "8.7"}, log)
    assert found["account"]["integer"]["others"] == {"conv": "float16"}
    assert "types stay unknown: out of memory" in capsys.readouterr().err
    assert not hasattr(trt.inspector, "execution_context")
