"""The Core ML target, on the trained tiny model where its files are here and on a drawn one elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.artifacts import Artifact, Proof
from moceir_edge.compress.weight_plan import plan_in_8_bits, storage_of, with_planned_weights
from moceir_edge.errors import MissingBackendError, RecipeError
from moceir_edge.metrics import psnr_db
from moceir_edge.network.architecture import build_architecture
from moceir_edge.network.checkpoint import load
from moceir_edge.network.network import MoceIR
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Kind, Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.runner import NetworkRunner, ProgramRunner, Runner
from moceir_edge.targets import coreml_library
from moceir_edge.targets.coreml_runners import CoreMLRunner, emulated_runner, in_8_bits
from moceir_edge.targets.coreml_units import UNITS_FILE, ComputeUnits, Unit
from moceir_edge.targets.mil_constants import different_weights
from moceir_edge.targets.mil_program import emit
from moceir_edge.targets.mlpackage import Package, read_functions, read_package
from moceir_edge.targets.target import Exported, target_of
from moceir_edge.targets.to_coreml import NOT_HERE, PACKAGE, TARGET, emulation, reading
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.terms import GateState, TargetName
from tests.targets.networks import full_plan

needs_coremltools = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

SIZE = (64, 88)


def recipe(precision: str = "float16", **options: object) -> Recipe:
    """A recipe with a picture that no window divides, taller than wide or not."""
    return Recipe.model_validate({"target": "coreml", "precision": precision, "size": SIZE, "coreml": options})


@pytest.fixture(scope="module")
def network() -> MoceIR:
    """A network of half the tiny one's width and experts, with drawn weights."""
    torch.manual_seed(0)
    return MoceIR(build_architecture(8, (1, 1, 1), 1, (1, 1, 1), refinement_blocks=1, experts=2)).eval()


@pytest.fixture(scope="module")
def program(network: MoceIR) -> Program:
    """Its program, with all experts and the guard."""
    return lower(network)


def image() -> np.ndarray:
    """A picture of 8-bit values, (3, H, W) in [0, 1]."""
    return np.random.default_rng(3).integers(0, 256, (3, *SIZE)).astype(np.float32) / 255


@dataclass(frozen=True)
class Made:
    """What the target made of a recipe: `prepared` is the program that it wrote into `folder`."""

    result: Exported
    prepared: Program
    folder: Path

    @property
    def package(self) -> Package:
        """The package, read back."""
        return read_package(self.folder / PACKAGE)

    @property
    def runner(self) -> Runner:
        """The package, executed here."""
        return emulated_runner(self.package)

    @property
    def restored(self) -> np.ndarray:
        """What the package makes of the picture."""
        return self.runner.run(image()).restored


def make(program: Program, chosen: Recipe, folder: Path) -> Made:
    """Store weights as a recipe says, and export."""
    prepared = TARGET.prepare(program, chosen)
    if chosen.coreml_options.weights == "int8":
        prepared = with_planned_weights(prepared, plan_in_8_bits(prepared, storage_of(chosen)))
    return Made(TARGET.export(prepared, chosen, [], folder), prepared, folder)


Maker = Callable[[Recipe], Made]


@pytest.fixture(scope="module")
def made(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Exports the program by a recipe, once for all tests."""
    kept: dict[str, Made] = {}

    def export(chosen: Recipe) -> Made:
        key = chosen.model_dump_json()
        if key not in kept:
            kept[key] = make(program, chosen, tmp_path_factory.mktemp("export"))
        return kept[key]

    return export


def values(package: Package) -> list[np.ndarray]:
    """Weights of the package's convolutions, decompressed by coremltools' own code."""
    found = []
    for op in package.operations:
        if op.op_type == "conv":
            weight = op.inputs["weight"]
            found.append(weight.val if weight.val is not None else weight.op.materialized_val_inference())
    return found


@needs_coremltools
def test_float32_tensors_restore_what_the_network_restores(network: MoceIR, made: Maker) -> None:
    """Everything in float32: the package agrees with the network far above the gate of 80 dB, scores and all."""
    artifact = made(recipe("float32", interface="tensor"))
    ours, theirs = artifact.runner.run(image()), NetworkRunner(network).run(image())
    assert psnr_db(theirs.restored, ours.restored) >= 100
    assert theirs.scores is not None
    assert ours.scores is not None
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
    assert ours.agreement == theirs.agreement == 1
    assert artifact.result.islands == ()
    assert {op.outputs[0].dtype.__name__ for op in artifact.package.operations} <= {"fp32", "bool"}


@needs_coremltools
def test_float16_keeps_the_islands_in_float32(program: Program, made: Maker) -> None:
    """Every island of the program computes in float32 in the package, everything else in float16."""
    artifact = made(recipe(interface="tensor"))
    assert artifact.result.islands == program.islands
    formats = {op.name: op.outputs[0].dtype.__name__ for op in artifact.package.operations}
    checked = 0
    for op in program.operations:
        name = op.name.replace(".", "_")
        if op.kind is Kind.INPUT or name not in formats:
            continue
        assert formats[name] == ("fp32" if op.exact else "fp16"), op.name
        checked += 1
    assert checked > 0.9 * len(program.operations)
    half = ProgramRunner(StaticNetwork(program, half=True)).run(image())
    assert psnr_db(half.restored, artifact.restored) >= 60


@needs_coremltools
def test_pictures_go_in_and_out_in_8_bits(program: Program, made: Maker) -> None:
    """The image interface gives the program's picture on its nearest 8-bit steps, scores and agreement as numbers."""
    artifact = made(recipe())
    assert artifact.package.picture
    outputs = artifact.runner.run(image())
    expected = in_8_bits(ProgramRunner(StaticNetwork(program, half=True)).run(image()).restored)
    steps = np.abs(outputs.restored - expected) * 255
    assert steps.max() < 1.01
    assert np.mean(steps > 0.5) < 0.05
    assert outputs.scores is not None
    assert outputs.scores.shape == (3, 2)


@needs_coremltools
def test_8_bit_weights_decompress_to_the_prepared_ones(program: Program, made: Maker) -> None:
    """coremltools' decompression gives the prepared program's weights to the last bit."""
    chosen = recipe(weights="int8", interface="tensor")
    artifact = made(chosen)
    prepared = artifact.prepared
    convs = [op for op in prepared.operations if op.kind is Kind.CONV]
    stored = values(artifact.package)
    assert len(stored) == len(convs)
    for op, weight in zip(convs, stored, strict=True):
        np.testing.assert_array_equal(weight.astype(np.float32), op.constants["weight"].astype(weight.dtype), op.name)
        assert weight.dtype == (np.float32 if op.exact else np.float16)
    changed = [op.name for op, was in zip(prepared.operations, program.operations, strict=True) if op is not was]
    assert len(changed) > 10
    assert artifact.result.proofs.parsed.state is GateState.PASSED
    runner = ProgramRunner(StaticNetwork(prepared, half=True))
    assert psnr_db(runner.run(image()).restored, artifact.restored) >= 60


@needs_coremltools
def test_graph_has_no_shape_arithmetic(made: Maker) -> None:
    """No gather, scatter, tile or expand_dims, no rank above 5, and nothing of unknown size."""
    operations = made(recipe()).package.operations
    kinds = {op.op_type for op in operations}
    assert not {kind for kind in kinds if kind.startswith(("gather", "scatter", "tile", "expand", "shape", "fill"))}
    assert max(len(op.outputs[0].shape) for op in operations) <= 5
    assert all(math.prod(op.outputs[0].shape) > 0 for op in operations)


@needs_coremltools
def test_export_says_what_was_shown_and_what_was_not(made: Maker) -> None:
    """Read back and emulated pass here; nothing claims that Core ML compiled it or ran."""
    artifact = made(recipe(minimum_ios=18))
    result, proofs = artifact.result, artifact.result.proofs
    assert result.model == PACKAGE
    assert result.versions == {"coremltools": "9.0"}
    assert {proofs.parsed.state, proofs.emulated.state} == {GateState.PASSED}
    assert proofs.built.state is GateState.NOT_RUN
    assert "Core ML's own compiler runs on macOS only" in proofs.built.reason
    assert "operations" in proofs.parsed.reason
    assert " conv" in proofs.parsed.reason
    assert "dB" in proofs.emulated.reason
    assert proofs.executed == Proof(reason=NOT_HERE)
    assert proofs.executed_on_device.state is GateState.NOT_RUN
    assert coreml_library.load().utils.load_spec(str(artifact.folder / PACKAGE)).specificationVersion == 9


@needs_coremltools
def test_sizes_are_functions_that_share_their_weights(network: MoceIR, made: Maker) -> None:
    """Each size runs as the network does, and a second one adds next to nothing to the weights."""
    alone = made(recipe("float32", interface="tensor", minimum_ios=18))
    both = made(recipe("float32", interface="tensor", minimum_ios=18, more_sizes=[[72, 48]]))
    functions = read_functions(both.folder / PACKAGE)
    assert list(functions) == ["main", "size_48x72"]
    for package in functions.values():
        picture = np.random.default_rng(1).random((3, *package.size), np.float32)
        restored = emulated_runner(package).run(picture).restored
        assert psnr_db(NetworkRunner(network).run(picture).restored, restored) >= 100
    sizes = [next(one.folder.rglob("weight.bin")).stat().st_size for one in (alone, both)]
    assert sizes[1] < 1.02 * sizes[0]
    assert both.result.proofs.parsed.reason.startswith("2 functions; main:")
    assert both.result.proofs.emulated.state is GateState.PASSED
    metadata = coreml_library.load().utils.load_spec(str(both.folder / PACKAGE)).description.metadata
    assert "88x64, 48x72" in metadata.shortDescription
    assert metadata.userDefined["functions"] == "main: 88x64, size_48x72: 48x72"


@needs_coremltools
def test_int8_is_counted_and_emulated_exactly(program: Program, tmp_path: Path) -> None:
    """Quantize and dequantize stand around the planned convolutions, and the package computes what was simulated."""
    chosen = recipe("int8", interface="tensor")
    full_plan(program).write(tmp_path / PLAN_FILE)
    result = TARGET.export(program, chosen, [], tmp_path)
    assert result.integer_share is not None
    assert result.integer_share >= 0.6
    assert result.counted_in == "the package that was read back"
    assert result.proofs.emulated.state is GateState.PASSED
    assert result.islands == program.islands
    metadata = coreml_library.load().utils.load_spec(str(tmp_path / PACKAGE)).description.metadata
    assert "8-bit linear" in metadata.userDefined["weights"]
    assert "A17 Pro" in metadata.userDefined["8-bit integers"]


@needs_coremltools
def test_int8_without_integers_has_a_share(program: Program, tmp_path: Path) -> None:
    """Of nothing: the gate of the share fails instead of being left out."""
    plan = full_plan(program).model_copy(update={"integer": {}})
    plan.write(tmp_path / PLAN_FILE)
    assert TARGET.export(program, recipe("int8", interface="tensor"), [], tmp_path).integer_share == 0.0


@needs_coremltools
@pytest.mark.parametrize("interface", ["tensor", "image"])
def test_float32_is_emulated_to_its_own_gate(program: Program, made: Maker, interface: str) -> None:
    """80 dB, which weights of 8 significant bits do not reach, though they do 50 dB."""
    artifact = made(recipe("float32", interface=interface))
    proof = artifact.result.proofs.emulated
    assert (proof.state, proof.reason.endswith("limit 80")) == (GateState.PASSED, True)

    def rough(array: np.ndarray) -> np.ndarray:
        return torch.from_numpy(array).bfloat16().float().numpy()

    changed = (
        replace(op, constants={key: rough(array) for key, array in op.constants.items()}) for op in program.operations
    )
    other = replace(program, operations=tuple(changed))
    found = emulation(artifact.package, other, recipe("float32", interface=interface), {})
    assert found.state is GateState.FAILED
    restored = ProgramRunner(StaticNetwork(other)).run(image()).restored
    assert psnr_db(in_8_bits(restored) if interface == "image" else restored, artifact.restored) > 50


@needs_coremltools
def test_compute_units_lie_beside_the_package(made: Maker) -> None:
    """Every operation is counted; the float32 islands are what leaves the Neural Engine at this size."""
    artifact = made(recipe())
    units = ComputeUnits.read(artifact.folder / UNITS_FILE)
    assert sum(units.operations.values()) == len(artifact.package.operations)
    islands = [op for op in artifact.package.operations if op.outputs[0].dtype.__name__ == "fp32"]
    assert units.operations[Unit.NEURAL_ENGINE] > 0
    assert units.operations[Unit.GPU] >= len(islands) > 0
    assert {row.rule for row in units.leaving} == {"float32"}


@needs_coremltools
def test_altered_weights_and_shapes_fail_the_reading(program: Program, made: Maker) -> None:
    """A package of other weights, or of another size, does not pass as this program's."""
    chosen = recipe(interface="tensor")
    package = made(chosen).package
    emitted = emit(program, SIZE, half=True, picture=False, ios=17)
    assert different_weights(package, program, emitted.convolutions, half=True) == ()
    index = next(i for i, op in enumerate(program.operations) if op.name == "output")
    op = program.operations[index]
    louder = replace(op, constants={**op.constants, "weight": op.constants["weight"] * np.float32(1.01)})
    altered = replace(program, operations=(*program.operations[:index], louder, *program.operations[index + 1 :]))
    proof = reading(package, emitted, altered, chosen, SIZE)
    assert (proof.state, "output" in proof.reason) == (GateState.FAILED, True)
    assert reading(package, emitted, program, chosen, (64, 64)).state is GateState.FAILED


@needs_coremltools
def test_trained_model_keeps_its_picture(shared: Path, tmp_path: Path) -> None:
    """The trained tiny model in float16 with 8-bit weights stays near its own float32 output."""
    model = load(shared / "reference/tiny/last.ckpt")
    artifact = make(lower(model.network), recipe(weights="int8", interface="tensor"), tmp_path)
    reference = NetworkRunner(model.network).run(image())
    assert psnr_db(reference.restored, artifact.restored) >= 40


@needs_coremltools
def test_artifact_of_an_exported_folder_runs_emulated(made: Maker) -> None:
    """The target gives an emulator from an artifact, and says elsewhere than on a Mac why Core ML does not run."""
    chosen = recipe(interface="tensor")
    artifact = Artifact.model_construct(model=PACKAGE, recipe=chosen.model_dump(mode="json"))
    runner = TARGET.emulator(artifact, made(chosen).folder)
    assert runner.size == SIZE
    assert runner.run(image()).restored.shape == (3, *SIZE)


def test_core_ml_is_not_pretended_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Elsewhere than on a Mac there is a reason, not a runner."""
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert TARGET.runner(Artifact.model_construct(model=PACKAGE), tmp_path) == NOT_HERE


def test_runner_of_a_mac_passes_pictures_and_tensors() -> None:
    """With Core ML's answers played back: 8-bit RGB in and out by the image interface, arrays by the other."""
    from PIL.Image import Image, fromarray

    given: list[object] = []

    class Played:
        def predict(self, inputs: dict[str, object]) -> dict[str, object]:
            given.append(inputs["image"])
            rgba = np.full((2, 3, 4), 255, np.uint8)
            rgba[0, 1, 0] = 51
            numbers = {"agreement": np.ones(1), "scores": np.ones((1, 2, 4), np.float16)}
            restored = fromarray(rgba) if isinstance(inputs["image"], Image) else np.zeros((1, 3, 2, 3))
            return {"restored": restored, **numbers}

    picture = np.linspace(-0.1, 1.1, 18, dtype=np.float32).reshape(3, 2, 3)
    outputs = CoreMLRunner(Played(), (2, 3), picture=True).run(picture)
    assert isinstance(given[0], Image)
    expected = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(given[0]), expected)
    assert outputs.restored.shape == (3, 2, 3)
    assert outputs.restored[:, 0, 1].tolist() == pytest.approx([0.2, 1, 1])
    assert outputs.agreement == 1
    plain = CoreMLRunner(Played(), (2, 3), picture=False).run(picture)
    assert np.array_equal(np.asarray(given[1]), picture[None])
    assert plain.restored.dtype == np.float32


def test_float16_weights_are_prepared_as_they_are(program: Program) -> None:
    """Without 8-bit weights nothing is rounded before the export rounds to float16."""
    assert TARGET.prepare(program, recipe()) is program


def test_missing_library_is_named_with_its_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without coremltools, or with another version, the error says what to install."""
    monkeypatch.setattr(coreml_library, "find_spec", lambda name: None)
    assert TARGET.missing() == "coremltools is not installed: pip install 'moceir-edge[coreml]'"
    with pytest.raises(MissingBackendError, match=r"coremltools is not installed; pip install 'moceir-edge\[coreml\]'"):
        coreml_library.load()


@needs_coremltools
def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose packages cannot be read back is not used."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: "10.1")
    assert "10.1 is not the version 9.0" in str(TARGET.missing())


@needs_coremltools
def test_size_has_to_be_fixed(program: Program, tmp_path: Path) -> None:
    """A recipe made past the schema without a size is refused in the same words."""
    chosen = recipe().model_copy(update={"size": "dynamic"})
    with pytest.raises(RecipeError, match="fixed size"):
        TARGET.export(program, chosen, [], tmp_path)


def test_target_is_found_by_name() -> None:
    """The table of targets knows this one."""
    assert target_of(TargetName.COREML) is TARGET
