"""What every target promises, whatever it is made of; the fake one shows how little is needed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.artifacts import Artifact, file_entries
from moceir_edge.errors import MissingBackendError
from moceir_edge.exporting import require_target
from moceir_edge.metrics import psnr_db
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.runner import Runner
from moceir_edge.targets.target import Target, interface_of, target_of
from moceir_edge.terms import GateState, Precision, TargetName
from tests.targets import fake
from tests.targets.networks import SIZE, expected, exported, picture, recipe

NAMES = ("fake", *TargetName)
PARITY_DB = {"float32": 80.0, "float16": 50.0, "bfloat16": 30.0}
"""The gates; bfloat16 has none, and keeps 8 significant bits."""

FULL = {"qnn": "float16"}
"""The floats of most bits that a target offers; float32 where nothing else is said."""

REDUCED = {"openvino": "bfloat16", "browser": "float32"}
"""The floats of fewest bits that a target offers; float16 where nothing else is said."""


def target(name: str) -> Target:
    """The target of that name; a missing library is a skip with its reason."""
    found = fake.TARGET if name == "fake" else target_of(TargetName(name))
    missing = found.missing()
    if missing is not None:
        pytest.skip(missing)
    return found


def full(name: str) -> str:
    """Its floats of most bits."""
    return FULL.get(name, "float32")


def reduced(name: str) -> str:
    """Its floats of fewer bits."""
    return REDUCED.get(name, "float16")


def recipe_for(name: str, precision: str) -> Recipe:
    """A recipe that the target takes, with tensors in and out."""
    more = {"coreml": {"interface": "tensor"}} if name == "coreml" else {}
    return recipe("onnx" if name == "fake" else name, precision, **more)


Export = Callable[[str, str], tuple[Target, Artifact, Path]]


@pytest.fixture(scope="module")
def export(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Export once for each target and precision."""
    known: dict[tuple[str, str], tuple[Target, Artifact, Path]] = {}

    def export(name: str, precision: str) -> tuple[Target, Artifact, Path]:
        if (name, precision) not in known:
            found, folder = target(name), tmp_path_factory.mktemp(name)
            known[name, precision] = found, exported(found, program, recipe_for(name, precision), folder), folder
        return known[name, precision]

    return export


def running(found: Target, artifact: Artifact, folder: Path) -> Runner:
    """What runs the artifact here: its runtime, else its emulator."""
    runner = found.runner(artifact, folder)
    if not isinstance(runner, str):
        return runner
    assert runner, "the reason why nothing runs here"
    emulator = found.emulator(artifact, folder)
    if emulator is None:
        pytest.skip(f"not here: {runner}")
    return emulator


def test_every_target_is_under_contract() -> None:
    """A new name is tried by all of these."""
    assert {target_of(name).name for name in TargetName} == set(TargetName)
    assert set(NAMES) == {"fake", *TargetName}


@pytest.mark.parametrize("name", NAMES)
def test_preparing_keeps_the_interface(name: str, program: Program) -> None:
    """Values may change, what goes in and comes out does not, and the program that was given stays as it is."""
    before = [op.name for op in program.operations]
    given = recipe_for(name, reduced(name))
    prepared = target(name).prepare(program, given)
    assert interface_of(prepared, given) == interface_of(program, given)
    assert [op.name for op in program.operations] == before


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_it_computes_the_program(name: str, reduces: bool, program: Program, export: Export) -> None:
    """Restored picture within the gate of its precision; agreement and scores with it; in the size it says."""
    precision = reduced(name) if reduces else full(name)
    found, artifact, folder = export(name, precision)
    runner = running(found, artifact, folder)
    outputs, wanted = runner.run(picture()), expected(program, picture())
    assert runner.size == artifact.fixed_size == SIZE
    assert outputs.restored.shape == (3, *SIZE)
    assert outputs.restored.dtype == np.float32
    assert psnr_db(wanted.restored, outputs.restored) >= PARITY_DB[precision]
    assert outputs.agreement == pytest.approx(wanted.agreement)
    np.testing.assert_allclose(outputs.scores, wanted.scores, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_deterministic(name: str, export: Export) -> None:
    """The same picture gives the same bits."""
    runner = running(*export(name, reduced(name)))
    assert np.array_equal(runner.run(picture()).restored, runner.run(picture()).restored)


@pytest.mark.parametrize("name", NAMES)
def test_files_lie_in_the_folder_and_come_out_equal(
    name: str, program: Program, export: Export, tmp_path: Path
) -> None:
    """The model is one of them, and a second export has the same hashes."""
    found, artifact, folder = export(name, reduced(name))
    assert (folder / artifact.model).exists()
    assert any(file == artifact.model or file.startswith(f"{artifact.model}/") for file in file_entries(folder))
    exported(found, program, recipe_for(name, reduced(name)), tmp_path / "again")
    once, again = file_entries(folder), file_entries(tmp_path / "again")
    assert once.keys() == again.keys()
    assert {file for file in once if once[file] != again[file]} <= UNSTEADY.get(name, set())


@pytest.mark.parametrize("name", NAMES)
def test_it_claims_no_more_than_it_has_shown(name: str, export: Export) -> None:
    """Nothing ran on a device; what failed or passed says why; float has no integer share; islands are named."""
    _, artifact, _ = export(name, reduced(name))
    proofs = artifact.proofs
    assert proofs.executed_on_device.state is GateState.NOT_RUN
    decided = [
        p for p in (proofs.parsed, proofs.built, proofs.emulated, proofs.executed) if p.state is not GateState.NOT_RUN
    ]
    assert decided
    assert all(proof.reason for proof in decided)
    assert artifact.counts.integer_share is None
    assert artifact.islands or artifact.precision is not Precision.FLOAT16 or name == "qnn"
    assert artifact.versions


UNSTEADY = {"qnn": {"model.qnn.onnx"}}
"""Files of a vendor's compiler that leaves memory unset: a few hundred bytes differ from run to run."""

LIBRARIES = {
    TargetName.ONNX: ("onnx", "onnxruntime", "nncf"),
    TargetName.TENSORRT: ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"),
    TargetName.COREML: ("coremltools",),
    TargetName.OPENVINO: ("openvino", "onnx", "onnxruntime", "nncf"),
    TargetName.BROWSER: ("onnx", "onnxruntime", "nncf"),
    TargetName.QNN: ("onnxruntime_qnn",),
}
EXTRAS = {TargetName.BROWSER: "onnx"}
"""Where the packages of a target have another name; what npm installs is tested with the page."""


@pytest.mark.parametrize("name", TargetName)
def test_missing_libraries_have_a_repair(name: TargetName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the target works without them; asking for it names them and what installs them."""
    found = target_of(name)
    for library in LIBRARIES[name]:
        monkeypatch.setitem(sys.modules, library, None)
    assert importlib.util.find_spec(LIBRARIES[name][0]) is None
    missing = found.missing()
    assert missing is not None
    remedy = f"pip install 'moceir-edge[{EXTRAS.get(name, name)}]'"
    assert f": {remedy}" in missing
    with pytest.raises(MissingBackendError) as caught:
        require_target(recipe_for(name, full(name)))
    assert caught.value.what.startswith(f"target {name}: ")
    assert caught.value.remedy == remedy


def test_targets_load_where_no_library_is() -> None:
    """In a process of its own, where nothing has been imported before: each says what it lacks."""
    blocked = sorted({library for libraries in LIBRARIES.values() for library in libraries})
    lines = (
        "import sys",
        f"sys.modules.update(dict.fromkeys({blocked!r}))",
        "from moceir_edge.targets.target import target_of",
        "from moceir_edge.terms import TargetName",
        "print(all(target_of(name).missing() for name in TargetName))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_timed_or_the_reason_is_given(name: str) -> None:
    """Nothing is timed in silence on another runtime."""
    timer = target(name).timer(recipe_for(name, full(name)))
    assert callable(timer) is (name in ("onnx", "openvino"))
    assert callable(timer) or len(timer) > 10
