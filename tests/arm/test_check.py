"""Checking an artifact: what is compared, what fails, and what is written down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from moceir_edge.arm.__main__ import main
from moceir_edge.arm.check import ArmCheck, ArmPicture, check_on_arm, gates_of
from moceir_edge.artifacts import artifact_sha256, read_artifact, record_proof
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.metrics import WORST_DB
from moceir_edge.parity.verify import unproven
from moceir_edge.terms import GateState, Precision
from tests.arm.conftest import NATIVE, written

StandIn = Callable[[str], Path]


def check(artifact: Path, sysroot: Path, **options: object) -> ArmCheck:
    """In silence."""
    return check_on_arm(artifact, sysroot, say=lambda _: None, **options)


def test_pictures_are_compared_one_by_one(artifact: Path, stand_in: StandIn) -> None:
    """The same kernels give the same picture; each is also held against the clean one."""
    found = check(artifact, stand_in(NATIVE))
    assert [picture.name for picture in found.pictures] == [g.name for g in read_artifact(artifact).golden]
    for picture in found.pictures:
        assert picture.parity_db is None or picture.parity_db > 100
        assert picture.here_db is not None
        assert picture.arm_db == pytest.approx(picture.here_db, abs=1e-3)
    assert found.state is GateState.PASSED
    assert set(found.versions) == {"arm", "here", "python", "numpy"}


def test_fewer_pictures_when_asked(artifact: Path, stand_in: StandIn) -> None:
    """The emulation is slow; the proof says how many of all there are."""
    found = check(artifact, stand_in(NATIVE), pictures=1)
    assert len(found.pictures) == 1
    assert "1 of 2 golden pictures" in found.proof.reason


def test_padding_is_not_judged(stand_in: StandIn, tmp_path: Path) -> None:
    """A recipe's size may be larger than every bundled picture: what is inside has its clean picture all the same."""
    (tmp_path / "wide").mkdir()
    found = check(written(tmp_path / "wide", size=(32, 320), golden=1), stand_in(NATIVE))
    assert found.pictures[0].here_db is not None
    assert found.pictures[0].arm_db == pytest.approx(found.pictures[0].here_db, abs=1e-3)


WRONG = f"""{NATIVE.replace("exec", "")} || exit 1
{NATIVE.split("exec ")[1].split(" ")[0]} - "$3" <<'END'
import sys, pathlib, numpy
for path in pathlib.Path(sys.argv[1]).glob("*.npy"):
    numpy.save(path, numpy.load(path) + numpy.float32(0.01))
END"""


NAN = WRONG.replace("numpy.float32(0.01)", "numpy.float32('nan')") + "\nexit 3"
"""As run_golden.py ends where a picture holds NaN."""


def test_another_picture_fails(artifact: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """A hundredth brighter is 40 dB: not shipped, exit 3, and the record says so."""
    out = tmp_path / "arm.json"
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    sysroot = stand_in(WRONG)
    assert main(["check", str(copy), "--sysroot", str(sysroot), "--out", str(out), "--record"]) == 3
    found = ArmCheck.read(out)
    assert found.state is GateState.FAILED
    assert found.gates[0].value == pytest.approx(40, abs=0.1)
    assert read_artifact(copy).proofs.emulated.state is GateState.FAILED


def test_a_proof_lands_in_the_artifact(artifact: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """As emulated, never as executed on a device; the artifact stays whole."""
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    before = artifact_sha256(copy)
    record_proof(copy, "emulated", check(copy, stand_in(NATIVE)).proof)
    assert artifact_sha256(copy) == before
    proofs = read_artifact(copy).proofs
    assert proofs.emulated.state is GateState.PASSED
    assert proofs.emulated.reason.startswith("on Arm kernels, not on a device: ONNX Runtime ")
    assert proofs.executed_on_device.state is GateState.NOT_RUN
    assert "not executed on device: not verified on a device" in unproven(read_artifact(copy))


def test_int8_is_held_by_what_it_loses() -> None:
    """Integers round apart: not by parity with here, but by the PSNR against the clean picture, where that is known."""

    def gate(here_db: float | None, arm_db: float | None) -> GateState:
        picture = ArmPicture(name="a", parity_db=55.0, here_db=here_db, arm_db=arm_db)
        return gates_of((picture,), Precision.INT8)[0].state

    assert gate(36.0, 36.04) is GateState.PASSED
    assert gate(36.04, 36.0) is GateState.PASSED
    assert gate(36.0, 36.06) is GateState.FAILED
    assert gate(None, None) is GateState.NOT_RUN
    assert gate(WORST_DB, WORST_DB) is GateState.FAILED
    judged = ArmPicture(name="a", parity_db=55.0, here_db=36.0, arm_db=36.0)
    unknown = ArmPicture(name="b", parity_db=5.0, here_db=None, arm_db=None)
    among = gates_of((judged, unknown), Precision.INT8)[0]
    assert among.state is GateState.NOT_RUN
    assert "1 of 2 pictures" in among.text
    float32 = gates_of((ArmPicture(name="a", parity_db=59.9, here_db=90.0, arm_db=90.0),), Precision.FLOAT32)
    assert float32[0].state is GateState.FAILED


def test_what_cannot_be_judged_is_no_failure(
    artifact: Path, stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """int8 whose pictures are none of the bundled ones: exit 2, and a proof that was not run."""
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    described = json.loads((copy / "artifact.json").read_text())
    described["precision"] = described["recipe"]["precision"] = "int8"
    described["golden"][1]["name"] = "unheard of"
    (copy / "artifact.json").write_text(json.dumps(described))
    assert main(["check", str(copy), "--sysroot", str(stand_in(NATIVE)), "--record"]) == 2
    said = capsys.readouterr().err
    assert "1 of 2 pictures are none of the bundled ones" in said
    assert "another picture" not in said
    assert read_artifact(copy).proofs.emulated.state is GateState.NOT_RUN


def test_float16_is_refused(artifact: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """The limit is of float32's roundings."""
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    described = json.loads((copy / "artifact.json").read_text())
    described["precision"] = described["recipe"]["precision"] = "float16"
    (copy / "artifact.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="float16, for which no limit"):
        check(copy, stand_in(NATIVE))


def test_the_command_prints_a_table(artifact: Path, stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each picture and each gate."""
    assert main(["check", str(artifact), "--sysroot", str(stand_in(NATIVE))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 + 1
    assert lines[-1].startswith("passed: arm: parity with this machine, worst picture")


def test_a_runtime_that_dies_is_told(artifact: Path, stand_in: StandIn) -> None:
    """With what it said last."""
    with pytest.raises(ArtifactError, match="for Arm does not run it: Illegal instruction"):
        check(artifact, stand_in("echo 'Illegal instruction' >&2; exit 132"))


@pytest.mark.parametrize(("script", "said"), [("exit 5", "exit code 5"), ("kill -9 $$", "signal 9")])
def test_a_silent_death_is_named(artifact: Path, stand_in: StandIn, script: str, said: str) -> None:
    """By its code or its signal."""
    with pytest.raises(ArtifactError, match=f"does not run it: {said};"):
        check(artifact, stand_in(script))


def test_a_qemu_of_another_machine_is_not_the_artifacts_fault(artifact: Path, stand_in: StandIn) -> None:
    """The setup is to be made again."""
    sysroot = stand_in(NATIVE)
    (sysroot / "qemu" / "qemu-aarch64").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(InputError, match="cannot be started") as caught:
        check(artifact, sysroot)
    assert "set it up again" in caught.value.remedy


def test_a_picture_of_nan_fails(artifact: Path, stand_in: StandIn) -> None:
    """It ran, and what it gave is wrong."""
    assert check(artifact, stand_in(NAN)).state is GateState.FAILED


def test_a_model_that_is_cut_off_is_refused_before(artifact: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """By its hash."""
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    model = copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    assert main(["check", str(copy), "--sysroot", str(stand_in(NATIVE))]) == 2


@pytest.mark.parametrize("cpu", ["pentium", ""])
def test_an_unknown_processor_is_refused(artifact: Path, stand_in: StandIn, cpu: str) -> None:
    """With those that there are."""
    with pytest.raises(InputError, match="unknown processor") as caught:
        check(artifact, stand_in(NATIVE), cpu=cpu)
    assert "cortex-a76" in caught.value.remedy


def test_another_target_is_refused(artifact: Path, stand_in: StandIn, tmp_path: Path) -> None:
    """TensorRT's file is ONNX as well, but not for this runtime."""
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    described = json.loads((copy / "artifact.json").read_text())
    described["target"] = described["recipe"]["target"] = "tensorrt"
    (copy / "artifact.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="is for tensorrt, not for ONNX Runtime"):
        check(copy, stand_in(NATIVE))


@pytest.mark.parametrize(
    "words",
    [["check", "nowhere", "--sysroot", "nowhere"], ["check", "{artifact}", "--sysroot", "nowhere"]],
    ids=["no artifact", "no setup"],
)
def test_wrong_input_is_two_lines(artifact: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What, and what to do; exit 2."""
    assert main([word.format(artifact=artifact) for word in words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_no_number_of_pictures(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the parser."""
    with pytest.raises(SystemExit, match="2"):
        main(["check", "a", "--sysroot", "b", "--pictures", count])
    assert "is no number of pictures" in capsys.readouterr().err
