"""On which compute unit Core ML is expected to run each operation of a package, by stated rules or by its own plan.

Only a device knows: Core ML decides by model, chip and system, and Apple gives no list. The rules are what others
measured, so the result is an estimate; on a Mac it is Core ML's own compute plan for that Mac instead.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from moceir_edge.records import Record
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mlpackage import MAIN, Package

UNITS_FILE = "compute_units.json"
"""Beside the package."""

ESTIMATE = "estimate by the rules below; only a device knows"
MEASURED = "Core ML's own compute plan, on this Mac"


class Unit(StrEnum):
    """Where an operation runs. What leaves the Neural Engine goes to the GPU or the CPU, whichever Core ML finds
    cheaper: `GPU` where nothing more is known.
    """

    NEURAL_ENGINE = "Neural Engine"
    GPU = "GPU"
    CPU = "CPU"


class Rule(Record):
    """Why an operation is expected to leave the Neural Engine, and who says so."""

    name: str
    what: str
    source: str


LONGEST, MOST_CHANNELS, HIGHEST_RANK, WIDEST_KERNEL = 16_384, 65_536, 5, 13

_GUIDE = "https://ane-guide.readthedocs.io/en/latest/part-5-practice/17-model-design-rules.html"

_WITHOUT_KERNEL = ("gather", "scatter", "lstm", "gru", "rnn", "reduce_prod", "non_zero", "topk", "argsort")
"""How the names of operations begin that have none."""

RULES = (
    Rule(
        name="float32",
        what="the Neural Engine computes in float16: float32 operations, and the casts into and out of them, leave it",
        source="https://apple.github.io/coremltools/docs-guides/source/typed-execution-example.html; "
        "https://github.com/hollance/neural-engine/blob/master/docs/16-bit.md",
    ),
    Rule(
        name="long axis",
        what=f"heights and widths (the last two axes) of more than {LONGEST} up to A15; 65536 from A16 on",
        source=f"{_GUIDE}; https://aneforge.readthedocs.io/en/latest/capabilities/ (A16);"
        " https://github.com/microsoft/onnxruntime/issues/19543",
    ),
    Rule(name="channels", what=f"more than {MOST_CHANNELS} channels", source=_GUIDE),
    Rule(
        name="rank",
        what=f"tensors of rank above {HIGHEST_RANK}",
        source="https://aneforge.readthedocs.io/en/latest/api/graph/",
    ),
    Rule(name="wide kernel", what=f"convolutions of kernels wider than {WIDEST_KERNEL}", source=_GUIDE),
    Rule(
        name="no kernel",
        what=f"{', '.join(_WITHOUT_KERNEL)}, and dilated convolutions on older chips, have none there",
        source="https://github.com/hollance/neural-engine/blob/master/docs/unsupported-layers.md;"
        " https://ane-guide.readthedocs.io/en/latest/part-1-machine/04-capability-surface.html",
    ),
)


class Leaving(Record):
    """Operations of one kind that are expected to leave the Neural Engine by one rule; example: one of them."""

    kind: str
    count: int
    unit: Unit
    rule: str
    example: str


def _whole(operations: dict[Unit, int]) -> dict[Unit, int]:
    missing = [unit for unit in Unit if unit not in operations]
    if missing:
        raise ValueError(f"nothing is said of {', '.join(missing)}")
    return operations


class ComputeUnits(Record):
    """how: in words where this comes from. size: (height, width) of the pictures, the default ones where a package
    takes several. operations: by unit, all of them; switches: from one unit to another, in running order: each costs a
    copy, and many make Core ML stay on the GPU (hollance/neural-engine, docs/unsupported-layers.md).
    """

    how: str
    size: tuple[int, int]
    operations: Annotated[dict[Unit, int], AfterValidator(_whole)]
    switches: int
    leaving: tuple[Leaving, ...] = ()
    rules: tuple[Rule, ...] = ()


def units_of(path: Path, package: Package) -> ComputeUnits:
    """Of a package: by Core ML on a Mac, estimated elsewhere."""
    return planned_units(path, package) if platform.system() == "Darwin" else estimated_units(package)


def estimated_units(package: Package) -> ComputeUnits:
    """By the rules."""
    placed = [(op, _rule(op)) for op in package.operations]
    found = [(op, Unit.GPU if rule else Unit.NEURAL_ENGINE, rule or "") for op, rule in placed]
    return _counted(found, how=ESTIMATE, size=package.size, rules=RULES)


def planned_units(path: Path, package: Package) -> ComputeUnits:
    """As Core ML plans it, on this Mac; a constant or what it does not place is left out."""
    models = coreml_library.load().models
    compiled = models.utils.compile_model(str(path))
    from coremltools.models.compute_plan import MLComputePlan

    plan = MLComputePlan.load_from_path(compiled)
    operations = plan.model_structure.program.functions[MAIN].block.operations
    usage = {
        one.outputs[0].name: plan.get_compute_device_usage_for_mlprogram_operation(one)
        for one in operations
        if one.outputs
    }
    return counted_plan(package, usage.get)


def counted_plan(package: Package, usage: Callable[[str], Any]) -> ComputeUnits:
    """usage: coremltools' MLComputePlanDeviceUsage of a result, or None."""
    found = []
    for op in package.operations:
        known = usage(op.outputs[0].name)
        if known is not None:
            found.append((op, _DEVICES[type(known.preferred_compute_device).__name__], "Core ML prefers it"))
    return _counted(found, how=MEASURED, size=package.size, rules=())


_DEVICES = {
    "MLNeuralEngineComputeDevice": Unit.NEURAL_ENGINE,
    "MLGPUComputeDevice": Unit.GPU,
    "MLCPUComputeDevice": Unit.CPU,
}


def _counted(
    found: Sequence[tuple[Any, Unit, str]], *, how: str, size: tuple[int, int], rules: tuple[Rule, ...]
) -> ComputeUnits:
    counts = Counter(unit for _, unit, _ in found)
    groups: dict[tuple[str, Unit, str], list[str]] = defaultdict(list)
    for op, unit, rule in found:
        if unit is not Unit.NEURAL_ENGINE:
            groups[op.op_type, unit, rule].append(op.outputs[0].name)
    rows = (
        Leaving(kind=kind, count=len(names), unit=unit, rule=rule, example=names[0])
        for (kind, unit, rule), names in groups.items()
    )
    return ComputeUnits(
        how=how,
        size=size,
        operations={unit: counts[unit] for unit in Unit},
        switches=sum(left[1] is not right[1] for left, right in pairwise(found)),
        leaving=tuple(sorted(rows, key=lambda row: (-row.count, row.kind))),
        rules=rules,
    )


def _rule(op: Any) -> str | None:
    """The first rule by which an operation leaves the Neural Engine."""
    values = [value for value in (*_flat(op.inputs.values()), *op.outputs) if _is_array(value)]
    shapes = [tuple(value.shape) for value in values]
    if op.op_type.startswith(_WITHOUT_KERNEL) or _is_dilated(op):
        return "no kernel"
    if any(_type_of(value) == "fp32" for value in values):
        return "float32"
    if any(len(shape) > HIGHEST_RANK for shape in shapes):
        return "rank"
    if any(side > LONGEST for shape in shapes for side in shape[-2:]):
        return "long axis"
    if any(len(shape) > 2 and max(shape[:-2]) > MOST_CHANNELS for shape in shapes):
        return "channels"
    if op.op_type == "conv" and max(op.inputs["weight"].shape[2:]) > WIDEST_KERNEL:
        return "wide kernel"
    return None


def _is_dilated(op: Any) -> bool:
    return op.op_type == "conv" and any(step > 1 for step in op.inputs["dilations"].val)


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        yield from value if isinstance(value, list | tuple) else (value,)


def _is_array(value: Any) -> bool:
    from coremltools.converters.mil.mil import types

    return bool(types.is_tensor(value.sym_type))


def _type_of(value: Any) -> str:
    from coremltools.converters.mil.mil import types

    return str(types.builtin_to_string(value.dtype))
