"""ORT format: the same picture, every CPU's graph, and the operators that a reduced build needs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.artifacts import Artifact, file_entries
from moceir_edge.errors import ArtifactError
from moceir_edge.metrics import psnr_db
from moceir_edge.program.program import Program
from moceir_edge.runner import Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.ort_flatbuffer import format_version, kinds_of
from moceir_edge.targets.ort_format import OPERATORS_FILE, ORT_FILE
from moceir_edge.targets.to_onnx import PLAN_FILE, TARGET, measured_integer_share
from moceir_edge.terms import GateState
from tests.targets.networks import SIZE, expected, exported, picture, recipe

ORT = {"format": "ort"}
FUSED = {"FusedConv", "FusedMatMul", "Gelu", "QuickGelu"}
"""Kernels of the CPU that are no standard operators."""


pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


@pytest.fixture(scope="module")
def artifact(program: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Path]:
    """Exported for the CPU."""
    folder = tmp_path_factory.mktemp("ort")
    return exported(TARGET, program, recipe("onnx", onnx=ORT), folder), folder


def running(artifact: Artifact, folder: Path) -> OnnxRunner:
    """ONNX Runtime on the CPU."""
    runner: Runner | str = TARGET.runner(artifact, folder)
    assert isinstance(runner, OnnxRunner)
    return runner


def needed(folder: Path) -> set[str]:
    """Names of the operators that a reduced build keeps."""
    lines = (folder / OPERATORS_FILE).read_text().splitlines()
    listed = (re.sub(r"\{.*?\}\}", "", line.split(";")[2]) for line in lines if line and not line.startswith("#"))
    return {name for line in listed for name in line.split(",")}


def test_what_ships_is_the_ort_file(program: Program, artifact: tuple[Artifact, Path]) -> None:
    """It computes the program, was loaded from disk, and nothing else of the model lies beside it."""
    found, folder = artifact
    assert set(file_entries(folder)) == {ORT_FILE, OPERATORS_FILE}
    assert found.model == ORT_FILE
    assert psnr_db(expected(program, picture()).restored, running(found, folder).run(picture()).restored) > 100
    assert (found.proofs.parsed.state, found.proofs.executed.state) == (GateState.PASSED, GateState.NOT_RUN)


def test_released_runtimes_read_its_version(artifact: tuple[Artifact, Path]) -> None:
    """Version 6: ONNX Runtime 1.16 and later; 1.15 and earlier read 5."""
    assert format_version(artifact[1] / ORT_FILE) == 6
    assert artifact[0].versions["ORT format"] == "6"


def test_every_cpu_can_run_it(artifact: tuple[Artifact, Path]) -> None:
    """Fused as a CPU wants it, but in no layout that only x86 has."""
    kinds = set(kinds_of(artifact[1] / ORT_FILE).values())
    assert kinds & FUSED
    assert not {kind for kind in kinds if "Reorder" in kind or "Nchwc" in kind}


def test_a_reduced_build_has_what_the_file_needs_and_no_more(artifact: tuple[Artifact, Path]) -> None:
    """Operators with their types; no path of this machine."""
    assert needed(artifact[1]) == set(kinds_of(artifact[1] / ORT_FILE).values())
    text = (artifact[1] / OPERATORS_FILE).read_text()
    assert 'Conv{"inputs": {"0": ["float"]}}' in text
    assert str(artifact[1]) not in text


def test_other_providers_get_standard_operators(program: Program, tmp_path: Path) -> None:
    """They know no fused ones."""
    found = exported(TARGET, program, recipe("onnx", onnx={**ORT, "providers": ["xnnpack", "cpu"]}), tmp_path)
    kinds = set(kinds_of(tmp_path / ORT_FILE).values())
    assert not kinds & FUSED
    assert needed(tmp_path) == kinds
    assert psnr_db(expected(program, picture()).restored, running(found, tmp_path).run(picture()).restored) > 100


def test_two_exports_are_the_same_files(program: Program, artifact: tuple[Artifact, Path], tmp_path: Path) -> None:
    """No time, no path."""
    exported(TARGET, program, recipe("onnx", onnx=ORT), tmp_path)
    assert file_entries(tmp_path) == file_entries(artifact[1])


def test_the_logging_of_others_stays(program: Program, tmp_path: Path) -> None:
    """ONNX Runtime's tools would make every library talk."""
    before = logging.getLogger().handlers[:]
    exported(TARGET, program, recipe("onnx", onnx=ORT), tmp_path)
    assert logging.getLogger().handlers == before


@pytest.fixture(scope="module")
def integer(program: Program, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Artifact, Path]]:
    """In 8 bits: as x86 wants it, as Arm wants it, and in ORT format."""
    options = {"uint8": {}, "int8": {"activations": "int8"}, "ort": {"activations": "int8", **ORT}}
    folders = {name: tmp_path_factory.mktemp(name) for name in options}
    return {
        name: (exported(TARGET, program, recipe("onnx", "int8", onnx=given), folders[name]), folders[name])
        for name, given in options.items()
    }


def test_integers_are_counted_in_what_ships(program: Program, integer: dict[str, tuple[Artifact, Path]]) -> None:
    """As many for Arm as for x86, though x86 would undo half of them on its own; a saved graph has them in it."""
    shares = {name: artifact.counts.integer_share for name, (artifact, _) in integer.items()}
    assert shares["uint8"] == shares["int8"] == shares["ort"]
    assert shares["ort"] is not None
    assert shares["ort"] > 0.8
    assert "QLinearConv" in needed(integer["ort"][1])
    undone = measured_integer_share(program, integer["int8"][1] / "model.onnx", SIZE, signed=False)
    assert undone < 0.6


def test_signs_of_activations_change_no_picture(integer: dict[str, tuple[Artifact, Path]]) -> None:
    """The same steps, shifted by 128; in ORT format the layout differs alone."""
    restored = {name: running(*found).run(picture()).restored for name, found in integer.items()}
    np.testing.assert_array_equal(restored["uint8"], restored["int8"])
    np.testing.assert_array_equal(restored["ort"], restored["int8"])
    assert set(file_entries(integer["ort"][1])) == {ORT_FILE, OPERATORS_FILE, PLAN_FILE}


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(artifact: tuple[Artifact, Path], tmp_path: Path, share: float) -> None:
    """Wherever it ends."""
    whole = (artifact[1] / ORT_FILE).read_bytes()
    (tmp_path / ORT_FILE).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ArtifactError, match="ONNX Runtime does not load the model"):
        OnnxRunner(tmp_path / ORT_FILE, size=None)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1])
def test_a_truncated_file_is_not_read(artifact: tuple[Artifact, Path], tmp_path: Path, share: float) -> None:
    """Its head is whole, what its offsets lead to is not there."""
    whole = (artifact[1] / ORT_FILE).read_bytes()
    (tmp_path / ORT_FILE).write_bytes(whole[: max(16, int(share * len(whole)))])
    with pytest.raises(ArtifactError, match="is cut off"):
        kinds_of(tmp_path / ORT_FILE)


def test_another_file_has_no_version(tmp_path: Path) -> None:
    """With a remedy."""
    (tmp_path / ORT_FILE).write_bytes(b"nothing of the kind")
    with pytest.raises(ArtifactError, match="not in ORT format"):
        format_version(tmp_path / ORT_FILE)
