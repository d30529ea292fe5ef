"""What cannot be built here is a reason, found by looking."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from moceir_edge.benchmarking import building, kernels
from moceir_edge.benchmarking.building import Workshop, recipe_of
from moceir_edge.benchmarking.foreign import ForeignError, foreign_tool
from moceir_edge.benchmarking.jobs import Job
from moceir_edge.benchmarking.variants import MEANINGS, Variant, variants_from_names
from moceir_edge.data.dataset import Dataset
from moceir_edge.data.samples import read_data
from moceir_edge.errors import GateError, InputError, MissingBackendError
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import Skipped
from moceir_edge.resources import bundled
from moceir_edge.terms import Precision
from tests.targets.networks import small_network


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """An empty workshop."""
    model = LoadedModel(small_network(), "small")
    return Workshop(model, model, Dataset(()), (32, 32), 1, tmp_path)


def reason(shop: Workshop, variant: Variant) -> str:
    """Why a variant is skipped."""
    built = shop.build(variant)
    assert isinstance(built, Skipped)
    assert built.what == variant
    return built.reason


def test_compile_needs_a_compiler(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a C++ compiler it is skipped, with one it is a job."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "C++ compiler" in reason(shop, Variant.COMPILE)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert isinstance(shop.build(Variant.COMPILE), Job)


def test_int8_of_golden_weights_is_timed_whatever_its_noise(shop: Workshop) -> None:
    """Random weights may be too loud for a trained model's limits, which are lifted for them."""
    golden = LoadedModel(shop.full.network, "golden:small")
    folder = shop.folder / "golden"
    folder.mkdir()
    pictures = read_data(bundled("calibration", "demo"))
    job = replace(shop, calibration=pictures, full=golden, kept=golden, folder=folder).build(Variant.INT8)
    assert isinstance(job, Job)
    assert job.integer


def test_int8_that_is_too_loud_is_said_with_the_reason(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other variants are timed all the same."""

    def refuse(*_: object, **__: object) -> None:
        raise GateError("no placement of int8 is quiet enough", "choose float16")

    monkeypatch.setattr(building, "write_model", refuse)
    assert "no placement of int8 is quiet enough" in reason(shop, Variant.INT8)


def test_missing_openvino_is_said_with_what_to_install(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason has the repair."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    for variant in (Variant.OPENVINO_FLOAT32, Variant.OPENVINO_INT8_ONNX):
        assert "pip install 'moceir-edge[openvino]'" in reason(shop, variant)


@pytest.mark.parametrize("format_name", ["float16", "bfloat16"])
def test_kernels_are_looked_for(format_name: str) -> None:
    """Either there is a kernel, or the reason tells what the runtime did instead."""
    gap = kernels.onnxruntime_gap(format_name)
    assert gap is None or (format_name in gap and ("->" in gap or "implementation" in gap))


def test_missing_capability_names_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is asked; what it does not list is not tried."""
    pytest.importorskip("openvino")
    assert kernels.openvino_gap("FP32") is None
    assert "FP32" in (kernels.openvino_gap("NONE") or "")


def test_another_tool_that_fails_is_a_reason() -> None:
    """Its first line is kept, ours pass through."""
    with pytest.raises(ForeignError, match="NNCF failed: ValueError: too odd"), foreign_tool("NNCF"):
        raise ValueError("too odd\nand more")
    with pytest.raises(MissingBackendError), foreign_tool("NNCF"):
        raise MissingBackendError("nncf is not installed", "install it")


def test_recipes_are_the_bundled_one_at_a_fixed_size() -> None:
    """Only int8 has a section of its own."""
    assert recipe_of(Precision.INT8, (64, 64)).quantize is not None
    assert recipe_of(Precision.FLOAT32, (64, 64)).quantize is None
    assert recipe_of(Precision.FLOAT16, (64, 72)).fixed_size == (64, 72)


def test_variants_keep_their_order_and_their_meaning() -> None:
    """However they are asked for; all where none is named; every one explained."""
    assert variants_from_names(["lowered", "eager"], narrowed=False) == (Variant.EAGER, Variant.LOWERED)
    assert variants_from_names(["lowered"], narrowed=True) == (Variant.LOWERED, Variant.WHOLE)
    assert variants_from_names([], narrowed=True) == tuple(Variant) == tuple(MEANINGS)
    assert set(Variant) - set(variants_from_names([], narrowed=False)) == {Variant.WHOLE}
    with pytest.raises(InputError, match="unknown variant 'fast'"):
        variants_from_names(["fast"], narrowed=False)
