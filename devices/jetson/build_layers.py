"""What really runs in an engine, by TensorRT's engine inspector, against the plan in build.json.

The inspector's JSON lists the engine's layers; several operations of the model may have become one. How a layer says
which ones, and in which types it reads, gives and weighs, differs between releases:
- 8.5: the names are joined in "Name" by " + " and " || ", pointwise ones in "PWN(...)"
- 8.6 and 10: "Metadata" lists them as "[ONNX Layer: name]" as well
- up to 10: a tensor has "Format/Datatype" in words; 11: "DataType" and "Format"
- open sizes: "N/A due to dynamic shapes" unless the inspector was given a context with a size
Sources: docs.nvidia.com/deeplearning/tensorrt, "Engine Inspector" and "Migrating IEngineInspector Usage from TensorRT
10.x to 11.x"; docs/Changelog.md of github.com/onnx/onnx-tensorrt ("metadata tracking", 8.6).
Python 3.8 and later.
"""

from __future__ import annotations

import json
import re
from collections import Counter

WORDS = (
    ("fp8", ("fp8", "float8", "e4m3")),
    ("int8", ("int8",)),
    ("float16", ("half", "fp16")),
    ("bfloat16", ("bf16", "bfloat16")),
    ("float32", ("float", "fp32")),
)
"""Types as the inspector words them, in the order in which they are looked for: "bfloat16" ends in "float16",
"float8" begins with "float"."""

MOVING = ("Reformat", "NoOp", "Constant", "Shuffle", "Shape", "Signal", "Wait")
"""Layers that compute nothing: what they say about an operation's name is not its kernel."""

UNKNOWN = "N/A due to dynamic shapes"
HIDDEN = re.compile(r"\{ForeignNode\[")
ONNX_NAME = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
PART = re.compile(r"[^\s(),+|]+")


class UnreadableError(ValueError):
    """The inspector gave no details of the layers."""


def type_of(text):
    """The type that a description names, None if it names none."""
    lowered = str(text).lower()
    return next((kind for kind, words in WORDS if any(word in lowered for word in words)), None)


def tensor_type(tensor):
    """The type of a layer's input or output."""
    return type_of(tensor.get("DataType", tensor.get("Datatype", tensor.get("Format/Datatype", ""))))


def types(layer, side):
    """The types of a layer's "Inputs" or "Outputs", as far as it says them."""
    found = [tensor_type(tensor) for tensor in layer.get(side, [])]
    return [kind for kind in found if kind is not None]


def operations_of(layer):
    """The names of the model's operations that a layer holds."""
    tracked = ONNX_NAME.findall(layer.get("Metadata", ""))
    return set(tracked) | set(PART.findall(layer.get("Name", "")))


def computes(layer):
    """Whether a layer is more than a copy in another format."""
    return not str(layer.get("LayerType", "")).startswith(MOVING)


def kernel_type(layer):
    """The type in which a convolution's layer multiplies: of its weights, and of what it reads where it says that."""
    weights = layer.get("Weights", layer.get("ConvWeights"))
    weighs = type_of(weights["Type"]) if isinstance(weights, dict) and "Type" in weights else None
    reads = types(layer, "Inputs")[:1]
    if weighs is None:
        return reads[0] if reads else None
    return weighs if not reads or reads[0] == weighs else "{} with weights in {}".format(reads[0], weighs)


def layers_in(information):
    """The layers of an engine; UnreadableError where the inspector names them only, or gives something else."""
    try:
        layers = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError("the inspector gave no list of layers: {}".format(error)) from error
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise UnreadableError("the inspector gave names only: the engine was built without detailed verbosity")
    return layers


def layer_types(layers):
    """How many layers give each type."""
    return dict(Counter((types(layer, "Outputs") or ["other"])[0] for layer in layers))


def holders(layers):
    """The computing layers that hold each operation."""
    found = {}
    for layer in filter(computes, layers):
        for name in operations_of(layer):
            found.setdefault(name, []).append(layer)
    return found


def convolution_types(layers, names):
    """In which type each of these convolutions runs; None where no layer says so."""
    held = holders(layers)
    found = {}
    for name in names:
        kinds = [kind for kind in map(kernel_type, held.get(name, [])) if kind is not None]
        found[name] = " and ".join(sorted(set(kinds))) or None
    return found


def island_types(layers, islands):
    """Whether each float32 island gives float32: it or one of its steps (`island.step`).

    What it reads is no sign: a layer that reads float32 and gives float16 may have computed in either.
    """
    held = holders(layers)
    found = {}
    for island in islands:
        own = [layer for name in held if name == island or name.startswith(island + ".") for layer in held[name]]
        kinds = {kind for layer in own for kind in types(layer, "Outputs")}
        found[island] = "float32" if "float32" in kinds else " and ".join(sorted(kinds)) or None
    return found


def against(found, wanted):
    """How many are as planned, and what the others are; "not listed" where the inspector does not say."""
    others = {name: kind or "not listed" for name, kind in found.items() if kind != wanted}
    return {"planned": len(found), "as_planned": len(found) - len(others), "others": others}


def account(information, recipe):
    """What runs in an engine: planned convolutions in 8 bits, float32 islands, and a summary for people."""
    layers, plan = layers_in(information), recipe["plan"]
    wanted = "fp8" if recipe["flags"]["precision"] == "fp8" else "int8"
    integer = against(convolution_types(layers, plan["integer"]), wanted)
    done = sum(macs for name, macs in plan["integer"].items() if name not in integer["others"])
    integer["macs_share"] = done / plan["macs"] if plan["macs"] else 0.0
    islands = against(island_types(layers, plan["islands"]), "float32")
    result = {
        "integer": integer,
        "islands": islands,
        "hidden_blocks": sum(1 for layer in layers if HIDDEN.search(layer.get("Name", ""))),
        "unknown_types": sum(1 for layer in layers if UNKNOWN in json.dumps(layer)),
        "layers_by_type": layer_types(layers),
    }
    return dict(result, summary=summary(result, wanted))


def summary(result, wanted):
    """One line: "int8: 41 of 44 planned convolutions, 63 % of MACs (not: enc.0 float16); 12 of 12 float32 islands"."""
    parts = []
    for key, what in (("integer", "planned convolutions"), ("islands", "float32 islands")):
        found = result[key]
        if found["planned"]:
            parts.append("{} of {} {}".format(found["as_planned"], found["planned"], what))
            if key == "integer":
                parts[-1] = "{}: {}, {:.0f} % of MACs".format(wanted, parts[-1], 100 * found["macs_share"])
            parts[-1] += not_as_planned(found["others"])
    parts = parts or [
        ", ".join("{} layers in {}".format(n, kind) for kind, n in sorted(result["layers_by_type"].items()))
    ]
    if result["hidden_blocks"]:
        parts.append("{} blocks whose layers are not listed".format(result["hidden_blocks"]))
    if result["unknown_types"]:
        parts.append("{} layers whose types are not known without a size".format(result["unknown_types"]))
    return "; ".join(parts)


def not_as_planned(others, most=5):
    """The others by name, as far as a line holds them."""
    if not others:
        return ""
    first = ", ".join("{} {}".format(name, others[name]) for name in sorted(others)[:most])
    more = len(others) - most
    return " (not: {}{})".format(first, " and {} more".format(more) if more > 0 else "")
