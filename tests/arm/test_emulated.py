"""Real Arm kernels: set up from Debian's packages and wheels, and artifacts of the trained model run on them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from moceir_edge.arm.check import ArmCheck, check_on_arm
from moceir_edge.arm.packages import ONNXRUNTIME
from moceir_edge.arm.sysroot import set_up
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import MissingBackendError
from moceir_edge.exporting import Search, Source, write_artifact
from moceir_edge.network.checkpoint import load
from moceir_edge.processor import is_arm
from moceir_edge.program.lower import lower
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import GateState, Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import full_plan, recipe

pytestmark = [pytest.mark.slow, pytest.mark.installs]

SIZE = (64, 64)
"""An emulated processor takes seconds for this."""


@pytest.fixture(scope="module")
def sysroot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """QEMU, and Python and ONNX Runtime for Arm, fetched with apt and pip."""
    if is_arm():
        pytest.skip("not here: this machine is 64-bit Arm itself")
    folder = tmp_path_factory.mktemp("arm") / "sys"
    try:
        set_up(folder, say=lambda _: None)
    except MissingBackendError as error:
        if "without apt" in error.what or "the lists of packages cannot be fetched" in error.what:
            pytest.skip(f"not here: {error.what}")
        raise
    return folder


Checked = Callable[..., ArmCheck]


@pytest.fixture(scope="module")
def checked(sysroot: Path, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Export the bundled model once for these options of target onnx, and run its golden picture on a processor."""
    model = load(MODEL)

    @cache
    def exported(precision: str, **options: str) -> Path:
        folder = tmp_path_factory.mktemp("artifact")
        given = recipe("onnx", precision, size=SIZE, golden=1, onnx=options)
        plan = full_plan(TARGET.prepare(lower(model.network), given)) if precision == "int8" else None
        picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
        source = Source(model, model, (Task.DERAIN,))
        write_artifact(source, given, dataset(picture), folder, search=Search(plan=plan))
        return folder

    def checked(precision: str, cpu: str, **options: str) -> ArmCheck:
        return check_on_arm(exported(precision, **options), sysroot, cpu=cpu, say=lambda _: None)

    return checked


@pytest.mark.parametrize("kind", ["onnx", "ort"])
def test_float32_is_the_same_picture_on_arm(checked: Checked, kind: str) -> None:
    """Within the rounding of sums in another order; the release that Debian's QEMU runs reads both formats."""
    found = checked("float32", "cortex-a76", format=kind)
    assert found.versions["arm"] == ONNXRUNTIME
    assert found.gates[0].state is GateState.PASSED
    assert found.gates[0].value is not None
    assert found.gates[0].value > 100


@pytest.mark.parametrize("cpu", ["max", "cortex-a76", "cortex-a53"])
def test_int8_loses_on_arm_what_it_loses_here(checked: Checked, cpu: str) -> None:
    """With matrix instructions, with dot products, and with neither; the export, which takes longest, is one."""
    found = checked("int8", cpu, activations="int8")
    assert found.gates[0].state is GateState.PASSED, found.gates[0].text
