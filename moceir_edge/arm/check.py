"""An artifact's golden pictures on Arm kernels, beside the same file on this machine's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.arm.packages import ONNXRUNTIME
from moceir_edge.arm.sysroot import qemu_of, read_sysroot, repair
from moceir_edge.artifacts import Artifact, GateResult, Golden, Proof, artifact_sha256, read_artifact
from moceir_edge.data.samples import read_data
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.metrics import WORST_DB, finite, psnr_db, quality_db
from moceir_edge.parity.fit import Fitted, fit
from moceir_edge.parity.gates import EQUAL_DB, judged
from moceir_edge.records import Record, scratch_folder
from moceir_edge.resources import bundled, resource
from moceir_edge.runner import Image, Runner
from moceir_edge.targets.target import recipe_of, target_of
from moceir_edge.terms import GateState, Precision, TargetName

PARITY_DB = 60.0
"""Least parity of float32 between x86 and Arm, whose sums run in other orders."""

CHANGE_DB = 0.05
"""Most that the PSNR of int8 against the clean picture may differ between them: where floats in between differ in their
last bits, roundings to integers fall apart, and the pictures with them, but neither is the worse one."""

CPUS = ("max", "cortex-a76", "cortex-a72", "cortex-a53")
"""Processors that QEMU may play: all that it knows; a Raspberry Pi 5's, with 8-bit dot products; a Pi 4's; a Pi 3's."""

_NOT_FINITE = 3
"""Exit code of run_golden.py where a picture holds NaN or infinity: it has run, and the gate fails."""


class ArmPicture(Record):
    """PSNR in dB: Arm against here (unclipped; None where equal), and each against the clean picture, where known."""

    name: str
    parity_db: float | None
    here_db: float | None
    arm_db: float | None

    @property
    def change_db(self) -> float | None:
        """Between here and Arm, either way; NaN on Arm is the largest change, though it were NaN here as well."""
        if self.here_db is None or self.arm_db is None:
            return None
        return -WORST_DB if self.arm_db == WORST_DB else abs(self.here_db - self.arm_db)


class ArmCheck(Record):
    """What came out; golden: how many pictures the artifact has; versions: of what ran on each side."""

    artifact_sha256: str
    model: str
    precision: Precision
    cpu: str
    qemu: str
    versions: dict[str, str]
    golden: int
    pictures: tuple[ArmPicture, ...]
    gates: tuple[GateResult, ...]

    @property
    def state(self) -> GateState:
        """Failed where a gate failed; passed where every one did; else not run."""
        states = {gate.state for gate in self.gates}
        if GateState.FAILED in states:
            return GateState.FAILED
        return GateState.PASSED if states == {GateState.PASSED} else GateState.NOT_RUN

    @property
    def proof(self) -> Proof:
        """For the artifact: emulated, for no board has run it."""
        said = "; ".join(gate.text for gate in self.gates)
        ran = f"ONNX Runtime {self.versions['arm']}, {self.cpu} by {self.qemu}"
        how = f"on Arm kernels, not on a device: {ran}, {len(self.pictures)} of {self.golden} golden pictures; {said}"
        return Proof(state=self.state, reason=how)


def check_on_arm(
    path: Path, sysroot: Path, *, cpu: str = "max", pictures: int | None = None, say: Callable[[str], None]
) -> ArmCheck:
    """Run golden pictures (all, or so many) of an artifact of target onnx in the emulation that `set_up` made."""
    artifact = read_artifact(path)
    _refuse_others(path, artifact, cpu)
    made = read_sysroot(sysroot)
    runner = target_of(artifact.target).runner(artifact, path)
    assert not isinstance(runner, str), runner  # ONNX Runtime runs wherever it is installed
    with scratch_folder() as out:
        say(f"running {artifact.model} on Arm kernels; the emulation takes seconds for 128x128, minutes for more")
        result = _emulated(path, sysroot.resolve(), made.python, out, cpu=cpu, pictures=pictures)
        restored = [np.load(out / f"{number}.npy")[0] for number in range(len(result["pictures"]))]
    compared = tuple(
        _compared(path, runner, golden, arm) for golden, arm in zip(artifact.golden, restored, strict=False)
    )
    return ArmCheck(
        artifact_sha256=artifact_sha256(path),
        model=artifact.model,
        precision=artifact.precision,
        cpu=cpu,
        qemu=made.qemu,
        versions={"arm": result["onnxruntime"], "here": _here(), "python": result["python"], "numpy": result["numpy"]},
        golden=len(artifact.golden),
        pictures=compared,
        gates=gates_of(compared, artifact.precision),
    )


def gates_of(pictures: tuple[ArmPicture, ...], precision: Precision) -> tuple[GateResult, ...]:
    """int8: by the PSNR against the clean picture, not run where one of them is unknown; float32: by parity.

    Of the worst picture.
    """
    if precision is Precision.INT8:
        changes = [change for picture in pictures if (change := picture.change_db) is not None]
        lacking = len(pictures) - len(changes)
        worst = None if lacking else max(changes)
        reason = f"{lacking} of {len(pictures)} pictures are none of the bundled ones: no clean one" if lacking else ""
        name = "change of PSNR, worst picture"
        return (judged("arm", name, worst, CHANGE_DB, unit="dB", at_least=False, reason=reason),)
    lowest = min(EQUAL_DB if picture.parity_db is None else picture.parity_db for picture in pictures)
    return (judged("arm", "parity with this machine, worst picture", lowest, PARITY_DB, unit="dB", at_least=True),)


def _refuse_others(path: Path, artifact: Artifact, cpu: str) -> None:
    if artifact.target is not TargetName.ONNX:
        raise InputError(f"{path} is for {artifact.target}, not for ONNX Runtime", "give one of target onnx")
    if artifact.precision not in (Precision.FLOAT32, Precision.INT8):
        what = f"{path} is in {artifact.precision}, for which no limit between x86 and Arm is known"
        raise InputError(what, "give one in float32 or int8")
    if recipe_of(artifact).gates_input:
        raise InputError(f"{path} takes its gates from the caller", "export it without gates_input")
    if not artifact.golden:
        raise ArtifactError(f"{path} has no golden pictures", "export it again")
    if cpu not in CPUS:
        raise InputError(f"unknown processor '{cpu}'", f"use one of {', '.join(CPUS)}")


def _emulated(path: Path, sysroot: Path, python: str, out: Path, *, cpu: str, pictures: int | None) -> dict[str, Any]:
    root = sysroot / "root"
    script = resource("devices") / "raspberry_pi" / "run_golden.py"
    environment = {
        "QEMU_CPU": cpu,
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(sysroot / "site"),
        "PATH": os.defpath,
    }
    command = [str(qemu_of(sysroot)), "-L", str(root), str(root / f"usr/bin/python{python}"), "-B", str(script)]
    given = [str(path.resolve()), str(out), *([] if pictures is None else [str(pictures)])]
    try:
        ended = subprocess.run([*command, *given], check=False, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be started: {error.strerror}", repair(sysroot)) from error
    if ended.returncode not in (0, _NOT_FINITE):
        died = f"exit code {ended.returncode}" if ended.returncode > 0 else f"signal {-ended.returncode}"
        said = (ended.stderr.strip() or ended.stdout.strip() or died).splitlines()[-1]
        raise ArtifactError(f"{path}: ONNX Runtime {ONNXRUNTIME} for Arm does not run it: {said}", "export it again")
    return dict(json.loads((out / "result.json").read_text(encoding="utf-8")))


def _compared(path: Path, runner: Runner, golden: Golden, arm: Image) -> ArmPicture:
    """Parity of the whole picture; dB of what is no padding."""
    image = np.load(path / golden.input)[0].astype(np.float32) / np.float32(255)
    here = runner.run(image).restored
    fitted = _bundled(golden, arm.shape[1:])
    return ArmPicture(
        name=golden.name,
        parity_db=finite(psnr_db(here, arm)),
        here_db=_quality_db(fitted, here),
        arm_db=_quality_db(fitted, arm),
    )


def _quality_db(fitted: Fitted | None, restored: Image) -> float | None:
    if fitted is None or fitted.target is None:
        return None
    return quality_db(fitted.target, fitted.inside(restored))


def _bundled(golden: Golden, size: tuple[int, int]) -> Fitted | None:
    """The bundled picture that the golden one is, as it was fitted to its size; None where it is none of them."""
    samples = read_data(bundled("calibration", "demo")).samples
    return next((fit(sample, size) for sample in samples if sample.name == golden.name), None)


def _here() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)
