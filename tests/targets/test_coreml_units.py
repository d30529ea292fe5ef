"""Where operations are expected to run: by the rules on packages that were read back, or by Core ML's own plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.errors import ArtifactError
from moceir_edge.targets import coreml_library, coreml_units
from moceir_edge.targets.coreml_units import RULES, Unit, counted_plan, estimated_units, units_of
from moceir_edge.targets.mlpackage import Description, Package, read_package, write_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

DESCRIPTION = Description("", "", "", "", {"image": "", "restored": ""}, {})
Call = Callable[[Any, Any], Any]


def package_of(call: Call, folder: Path, *, shape: tuple[int, ...] = (1, 3, 8, 16)) -> Package:
    """Operations on a float16 value, between the two casts of the interface, read back."""
    ct = coreml_library.load()
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function, Program

    with Function({"image": Builder.placeholder(shape=shape)}, opset_version=ct.target.iOS17) as function:
        x = Builder.cast(x=function.inputs["image"], dtype="fp16", name="half")
        result = Builder.cast(x=call(Builder, x), dtype="fp32", name="restored")
        function.set_outputs([result])
    program = Program()
    program.add_function("main", function)
    write_package({"main": program}, folder / "x.mlpackage", picture=False, ios=17, description=DESCRIPTION)
    return read_package(folder / "x.mlpackage")


def island(mb: Any, x: Any) -> Any:
    """A float32 operation amid float16 ones."""
    wide = mb.cast(x=mb.sigmoid(x=x), dtype="fp32")
    return mb.sqrt(x=mb.cast(x=mb.mul(x=wide, y=wide), dtype="fp16"))


LEAVES: dict[str, tuple[Call, set[tuple[str, str]]]] = {
    "nothing": (lambda mb, x: mb.sigmoid(x=x), set()),
    "an island with its casts": (island, {("mul", "float32")}),
    "a long axis": (
        lambda mb, x: mb.sigmoid(x=mb.reshape(x=x, shape=[1, 3, 1, 16400])),
        {("reshape", "long axis"), ("sigmoid", "long axis")},
    ),
    "gather": (lambda mb, x: mb.gather(x=x, indices=np.int32([0, 2]), axis=1), {("gather", "no kernel")}),
    "a dilated convolution": (
        lambda mb, x: mb.conv(x=x, weight=np.ones((2, 3, 3, 3), np.float16), dilations=[2, 2]),
        {("conv", "no kernel")},
    ),
    "a wide kernel": (
        lambda mb, x: mb.conv(x=x, weight=np.ones((2, 3, 1, 15), np.float16), pad_type="same"),
        {("conv", "wide kernel")},
    ),
}


@pytest.mark.parametrize("name", LEAVES)
def test_what_leaves_the_neural_engine(name: str, tmp_path: Path) -> None:
    """Operations by the rule that sends them away; the casts at the interface always leave."""
    call, expected = LEAVES[name]
    shape = (1, 3, 8, 2050) if name == "a long axis" else (1, 3, 8, 16)
    package = package_of(call, tmp_path, shape=shape)
    found = estimated_units(package)
    assert found.size == shape[2:]
    named = {(row.kind, row.rule) for row in found.leaving if row.kind != "cast"}
    assert named == expected
    assert found.operations[Unit.GPU] == sum(row.count for row in found.leaving)
    assert sum(found.operations.values()) == len(package.operations)
    assert {row.rule for row in found.leaving} <= {rule.name for rule in RULES}


def test_switches_are_counted_in_running_order(tmp_path: Path) -> None:
    """GPU for the first cast, engine, island, engine, last cast."""
    assert estimated_units(package_of(island, tmp_path)).switches == 4


def test_every_rule_names_who_measured_it() -> None:
    """A source that can be read, and the word estimate where no device was asked."""
    assert all(rule.source.startswith("https://") for rule in RULES)
    assert "estimate" in coreml_units.ESTIMATE


def test_a_file_that_lacks_a_unit_is_refused(tmp_path: Path) -> None:
    """Another program's, or an older one: it is named, not half shown."""
    (tmp_path / "x.json").write_text('{"how": "", "size": [8, 16], "operations": {"GPU": 1, "CPU": 0}, "switches": 0}')
    with pytest.raises(ArtifactError, match="operations: Value error, nothing is said of Neural Engine"):
        coreml_units.ComputeUnits.read(tmp_path / "x.json")


def test_what_the_rule_says_is_what_is_looked_at() -> None:
    """Every operation without a kernel is named."""
    [rule] = [rule for rule in RULES if rule.name == "no kernel"]
    assert all(name in rule.what for name in coreml_units._WITHOUT_KERNEL)


def test_on_a_mac_core_ml_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compute plan takes the place of the rules; here, with Core ML's answers played back."""
    package = package_of(lambda mb, x: mb.sigmoid(x=x), tmp_path)
    kinds = {"half": "MLCPUComputeDevice", "restored": "MLGPUComputeDevice"}

    class Usage:
        def __init__(self, name: str) -> None:
            self.preferred_compute_device = type(kinds.get(name, "MLNeuralEngineComputeDevice"), (), {})()

    found = counted_plan(package, Usage)
    assert found.operations == {Unit.NEURAL_ENGINE: 1, Unit.GPU: 1, Unit.CPU: 1}
    assert "Core ML's own" in found.how
    assert found.switches == 2
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(coreml_units, "planned_units", lambda path, package: found)
    assert units_of(tmp_path, package) is found
