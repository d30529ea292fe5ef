"""The parsed network against the plan, with NVIDIA's own parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from moceir_edge.errors import MissingBackendError
from moceir_edge.program.lower import lower
from moceir_edge.targets.tensorrt_api import Library, load_library
from moceir_edge.targets.tensorrt_build import parse
from moceir_edge.targets.tensorrt_recipe import BuildRecipe
from moceir_edge.targets.to_tensorrt import TARGET
from tests.devices.scripts import script
from tests.targets.networks import exported, recipe, small_network

plan = script("build_plan")

FIRST = "patch_embed.proj"
"""A convolution that is planned, whose result goes on into a float operation."""


@pytest.fixture(scope="module")
def library() -> Library:
    """TensorRT, or TensorRT for RTX."""
    try:
        return load_library()
    except MissingBackendError as error:
        pytest.skip(f"not here: {error}")


@pytest.fixture(scope="module", params=[17, 20])
def artifact(library: Library, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An int8 artifact with every candidate in integers, for TensorRT 8 and later ones, and for later ones alone."""
    folder = tmp_path_factory.mktemp("int8") / "artifact"
    exported(TARGET, lower(small_network()), recipe("tensorrt", "int8", opset=request.param), folder)
    return folder


def compared(library: Library, artifact: Path, change: Callable[[onnx.ModelProto], None] | None = None) -> Any:
    """What the device's script says of the artifact's model, after a change."""
    model = onnx.load(artifact / "model.onnx")
    if change is not None:
        change(model)
    build = BuildRecipe.read(artifact / "build.json")
    parsed = parse(library, model.SerializeToString())
    assert parsed.errors == ()
    return plan.compare(library.module, parsed.network, build.model_dump(mode="json"))


def test_every_planned_convolution_has_its_pairs(library: Library, artifact: Path) -> None:
    """By name: its input, its weights and its result go through quantizing layers of the parsed network."""
    build = BuildRecipe.read(artifact / "build.json")
    found = compared(library, artifact)
    assert found["problem"] is None
    assert found["convolutions"] == len(build.plan.integer) > 20
    assert found["macs_share"] == pytest.approx(sum(build.plan.integer.values()) / build.plan.macs)


def bypass_result(model: onnx.ModelProto) -> None:
    """Take the pair behind one convolution away and put it where it changes no count: behind another pair."""
    nodes = {node.name: node for node in model.graph.node}
    quantize, dequantize = (next(n for name, n in nodes.items() if name == f"{FIRST}.{end}") for end in ("Q", "DQ"))
    nodes[FIRST].output[0] = dequantize.output[0]
    other = next(n for n in model.graph.node if n.op_type == "Sigmoid")
    quantize.input[0], dequantize.output[0] = other.input[0], f"{other.input[0]}.stepped"
    other.input[0] = dequantize.output[0]
    rest = [node for node in model.graph.node if node is not quantize and node is not dequantize]
    place = next(index for index, node in enumerate(rest) if node is other)
    ordered = [*rest[:place], quantize, dequantize, *rest[place:]]
    copies = [helper.make_node(n.op_type, n.input, n.output, n.name) for n in (quantize, dequantize)]
    kept = [copies[(quantize, dequantize).index(n)] if n in (quantize, dequantize) else n for n in ordered]
    serial = [node.SerializeToString() for node in kept]
    del model.graph.node[:]
    model.graph.node.extend(onnx.NodeProto.FromString(text) for text in serial)


def test_a_pair_at_the_wrong_place_is_found(library: Library, artifact: Path) -> None:
    """Counts agree, and still the convolution whose result is not quantized is named."""
    before, after = compared(library, artifact), compared(library, artifact, bypass_result)
    assert (before["quantize"], before["dequantize"]) == (after["quantize"], after["dequantize"])
    assert after["problem"].endswith(f"planned convolutions: {FIRST} (its result is not quantized)")
    assert after["macs_share"] < before["macs_share"]


def test_a_convolution_that_is_not_there_is_found(library: Library, artifact: Path) -> None:
    """A name of the plan that the parser gave to no convolution."""

    def rename(model: onnx.ModelProto) -> None:
        next(node for node in model.graph.node if node.name == FIRST).name = "another"

    assert f"{FIRST} (the network has no such convolution)" in compared(library, artifact, rename)["problem"]


def test_float_weights_are_found(library: Library, artifact: Path) -> None:
    """A convolution between pairs, with weights that nobody quantized, would run in float."""

    def take_away(model: onnx.ModelProto) -> None:
        convolution = next(node for node in model.graph.node if node.name == FIRST)
        made = next(node for node in model.graph.node if convolution.input[1] in node.output)
        weights = next(
            t for t in model.graph.initializer if t.name in {made.input[0], made.input[0][: -len(".integer")]}
        )
        values = onnx.numpy_helper.to_array(weights).astype("float32")
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, "plain"))
        convolution.input[1] = "plain"

    problem = compared(library, artifact, take_away)["problem"]
    assert f"{FIRST} (its weights are not" in problem
