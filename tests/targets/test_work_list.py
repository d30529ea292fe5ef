"""What an artifact says that it computes, against the program that it was made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.demonstration import MODEL
from moceir_edge.exporting import Search, Source, write_artifact
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs, macs_by_operation
from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.program.program import Program
from moceir_edge.program.work import Work
from moceir_edge.targets.target import target_of
from moceir_edge.targets.to_onnx import TARGET as ONNX
from moceir_edge.targets.work_list import WORK_FILE, WorkList, work_list
from moceir_edge.terms import Precision, TargetName, Task
from tests.parity.fakes import dataset, noise, sample
from tests.targets.networks import full_plan, recipe, small_network

SIZE = (64, 72)


@pytest.fixture(scope="module")
def program() -> Program:
    """The bundled model with all its experts, so with windows of every size."""
    return fold_norms(lower(load(MODEL).network))


@pytest.fixture(scope="module")
def found(program: Program) -> WorkList:
    """Its work in float32."""
    return work_list(program, recipe("onnx"))


@pytest.mark.parametrize("size", [(8, 8), (40, 264), (264, 40), (136, 16), (256, 256), (720, 1280)])
def test_macs_of_any_size_follow_from_a_few_numbers(program: Program, found: WorkList, size: tuple[int, int]) -> None:
    """Exactly, with the padding of windows that a picture does not fill."""
    assert found.macs(*size) == macs(program, *size)


def test_windows_make_the_count_more_than_a_line(program: Program, found: WorkList) -> None:
    """The bundled model has windows of up to 128 pixels, of which a picture of 8 pixels fills a part."""
    sides = {cell.side for group in found.groups for cell in group.cells}
    assert sides == {8, 16, 32, 64, 128}
    assert macs(program, 8, 8) > macs(program, 256, 256) / (256 / 8) ** 2


def test_groups_hold_every_operator_that_multiplies(program: Program, found: WorkList) -> None:
    """Once, by kind; only dense convolutions with a kernel are marked as such."""
    assert sum(group.operators for group in found.groups) == len(macs_by_operation(program, 64, 64))
    assert len({(group.kind, group.precision) for group in found.groups}) == len(found.groups)
    dense = {group.kernel for group in found.groups if group.work is Work.DENSE}
    assert dense == {1, 3}
    assert {group.kernel for group in found.groups if group.work is Work.MATMUL} == {1}


def test_formats_are_those_that_the_target_computes_in() -> None:
    """Islands stay in float32 beside float16; what the plan leaves is float32, float16 or bfloat16 by target."""
    program = lower(small_network())
    convolution = next(op.name for op in program.operations if op.kind == "conv" and not op.exact)

    def formats(target: str, precision: str, **fields: object) -> dict[Precision, int]:
        given = recipe(target, precision, size=(64, 64), **fields)
        found: dict[Precision, int] = {}
        planned = [convolution] if given.precision.in_8_bits else []
        for group in work_list(program, given, planned).groups:
            found[group.precision] = found.get(group.precision, 0) + group.operators
        return found

    counted = macs_by_operation(program, 8, 8)
    islands, count = sum(op.exact for op in program.operations if op.name in counted), len(counted)
    assert 0 < islands < count
    assert formats("onnx", "float32") == {Precision.FLOAT32: count}
    half = formats("onnx", "float16")
    assert half.get(Precision.FLOAT32, 0) == islands
    assert half[Precision.FLOAT16] == count - islands
    assert formats("onnx", "int8") == {Precision.INT8: 1, Precision.FLOAT32: count - 1}
    assert formats("coreml", "int8")[Precision.FLOAT16] == count - islands - 1
    mixed = formats("openvino", "int8", openvino={"floats": "bfloat16"})
    assert mixed == {Precision.INT8: 1, Precision.BFLOAT16: count - 1}
    assert formats("tensorrt", "fp8", opset=19) == {Precision.FP8: 1, Precision.FLOAT32: count - 1}


def test_pictures_of_core_ml_are_of_8_bits() -> None:
    """In and out; elsewhere callers exchange float32."""
    program = lower(small_network())
    assert work_list(program, recipe("onnx")).bytes_per_pixel == 24
    assert work_list(program, recipe("coreml", "float16")).bytes_per_pixel == 6
    assert work_list(program, recipe("coreml", "float16", coreml={"interface": "tensor"})).bytes_per_pixel == 24


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_export_writes_it_beside_the_model(tmp_path: Path, precision: str) -> None:
    """It agrees with artifact.json, is one of the artifact's files, and knows what the plan put into integers."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)
    model, given = LoadedModel(small_network(), "small"), recipe("onnx", precision, size=SIZE, golden=1)
    plan = full_plan(ONNX.prepare(lower(model.network), given)) if precision == "int8" else None
    chosen = dataset(sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1])))
    source = Source(model, model, (Task.DERAIN,))
    artifact = write_artifact(source, given, chosen, tmp_path, search=Search(plan=plan))
    found = WorkList.read(tmp_path / WORK_FILE)
    assert WORK_FILE in artifact.files
    assert found.macs(*SIZE) == artifact.counts.macs
    integer = sum(group.operators for group in found.groups if group.precision is Precision.INT8)
    assert integer == (len(plan.integer) if plan else 0)
    assert 0 < found.weight_bytes < artifact.counts.size_bytes
