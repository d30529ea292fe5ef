"""Packages on disk: equal content gives equal bytes, whatever process wrote it, and nothing but content is in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moceir_edge.errors import ArtifactError
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mlpackage import read_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

PROGRAM = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
from moceir_edge.compress.stored_weights import Storage, storable, with_stored_weights, Stored
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_program import emit
from moceir_edge.targets.mlpackage import Description, write_package

coreml_library.load()
b, draw = Builder(), np.random.default_rng(0).standard_normal
x = b.add(Kind.INPUT, "image")
for i, c in enumerate((3, 64, 64)):
    x = b.add(Kind.CONV, f"conv.{i}", x, constants={"weight": draw((64, c, 3, 3)), "bias": draw(64)}, groups=1)
w = b.add(Kind.WINDOWS, "w", x, window=8, exact=True)
x = b.add(Kind.UNWINDOWS, "u", b.add(Kind.MATMUL, "m", w, constants={"left": draw((8, 8))}, exact=True), x, window=8)
x = b.add(Kind.CONV, "last", x, constants={"weight": draw((3, 64, 3, 3))}, groups=1)
program = Program(tuple(b.operations), {"restored": x}, (), 0)
formats = dict(zip([op.name for op in storable(program)], (Stored.LINEAR_8, Stored.PALETTE_4)))
program = with_stored_weights(program, formats, Storage(half=True, blocks=False))
told = Description("A title", "An author", "A licence", "1.2", {"image": "in", "restored": "out"}, {"b": "2", "a": "1"})
mil = emit(program, (24, 40), half=True, picture=True, ios=17).program
write_package({"main": mil}, Path(sys.argv[1]), picture=True, ios=17, description=told)
print("done")
"""


def written(path: Path, *, seed: int) -> subprocess.CompletedProcess[str]:
    """Write the package in a fresh process with another order of sets."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One package, written by two processes into different folders."""
    first, second = (tmp_path_factory.mktemp(name) / "x.mlpackage" for name in ("first", "second"))
    for seed, path in enumerate((first, second)):
        assert written(path, seed=seed).stdout == "done\n"
    return first, second


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_two_processes_write_the_same_bytes(pair: tuple[Path, Path]) -> None:
    """Manifest, model and weights are equal, and there is nothing else."""
    first, second = map(hashes, pair)
    assert first == second
    assert sorted(first) == [
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
        "Manifest.json",
    ]


def test_nothing_is_printed(tmp_path: Path) -> None:
    """Neither version warnings nor progress bars reach stdout or stderr."""
    result = written(tmp_path / "x.mlpackage", seed=2)
    assert (result.stdout, result.stderr) == ("done\n", "")


def test_package_is_one_that_coremltools_opens(pair: tuple[Path, Path]) -> None:
    """coremltools finds the model through the rewritten manifest, and Xcode's fields in it, without a date."""
    ct = coreml_library.load()
    model = ct.models.MLModel(str(pair[0]), skip_model_load=True)
    manifest = json.loads((pair[0] / "Manifest.json").read_text())
    assert manifest["rootModelIdentifier"] in manifest["itemInfoEntries"]
    assert (model.short_description, model.author, model.license, model.version) == (
        "A title",
        "An author",
        "A licence",
        "1.2",
    )
    assert model.input_description["image"] == "in"
    assert model.output_description["restored"] == "out"
    assert {"a", "b"} < set(model.user_defined_metadata)
    assert not [key for key in model.user_defined_metadata if "date" in key]
    assert model.get_spec().specificationVersion == 8
    picture = model.get_spec().description.output[0].type.imageType
    assert (picture.height, picture.width) == (24, 40)


def test_package_is_read_back(pair: tuple[Path, Path]) -> None:
    """Its size, its interface and its operations come from the files."""
    package = read_package(pair[1])
    assert package.size == (24, 40)
    assert package.picture
    assert package.shapes == {"image": (1, 3, 24, 40), "restored": (1, 3, 24, 40)}
    kinds = [op.op_type for op in package.operations]
    assert kinds.count("conv") == 4
    stored = [op.op_type for op in package.constants.values() if op.op_type != "const"]
    assert sorted(stored) == ["constexpr_affine_dequantize", "constexpr_lut_to_dense"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Manifest.json", "Manifest.json is missing"),
        ("Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/model.mlmodel is missing"),
        ("Data/com.apple.CoreML/weights/weight.bin", "weight.bin"),
    ],
)
def test_a_missing_file_is_named(pair: tuple[Path, Path], tmp_path: Path, name: str, said: str) -> None:
    """A package without one of its files is refused with what is missing and what to do."""
    copy = tmp_path / "x.mlpackage"
    shutil.copytree(pair[0], copy)
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"x.mlpackage: not a .*{said}.*; export again"):
        read_package(copy)


@pytest.mark.parametrize("name", ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"])
def test_a_damaged_file_is_refused(pair: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    """Half a file is no package, and no traceback."""
    copy = tmp_path / "x.mlpackage"
    shutil.copytree(pair[0], copy)
    (copy / name).write_bytes((copy / name).read_bytes()[:300])
    with pytest.raises(ArtifactError, match=r"not a Core ML package of ours: .*; export again"):
        read_package(copy)
