"""Reading build.json and the model beside it: every field that the scripts read is looked at before TensorRT starts.

Python 3.8 and later.
"""

from __future__ import annotations

import json
import re

from build_cache import Problem, sha256

SCHEMA = 2
NUMBERS = re.compile(r"\d+(\.\d+)+")
COUNT = range(2**63)
SHAPE = [range(1, 2**31)]
EACH = "each"
"""The key that stands for all keys of an object whose names are free."""

FIELDS = {
    "model": str,
    "model_sha256": str,
    "flags": {
        "precision": ("float32", "float16", "int8", "fp8"),
        "optimization_level": range(6),
        "workspace_mib": range(1, 2**32),
        "profiles": {EACH: {"minimum": SHAPE, "optimum": SHAPE, "maximum": SHAPE}},
        "compute_capabilities": [NUMBERS],
        "tf32": (False, True),
    },
    "plan": {"integer": {EACH: COUNT}, "macs": COUNT, "islands": [str]},
    "needs": [str],
    "expected": [{"tensorrt": NUMBERS, "jetpack": str}],
    "quantize_nodes": COUNT,
    "dequantize_nodes": COUNT,
}
"""What build.json holds: text, text of a form, a number in a range, one of some words, lists and objects of such."""


def faults(value, wanted, place=""):
    """What is not as wanted in a value, each with its place, as in "flags.precision is missing"."""
    if isinstance(wanted, dict):
        yield from faults_in_object(value, wanted, place)
    elif isinstance(wanted, list):
        if not isinstance(value, list):
            yield "{} is no list".format(place)
            return
        for index, item in enumerate(value):
            yield from faults(item, wanted[0], "{}.{}".format(place, index))
    elif not fits(value, wanted):
        yield "{} is {}".format(place, json.dumps(value)[:40])


def faults_in_object(value, wanted, place):
    """`faults` of an object: of the fields it has to have, or of all where their names are free."""
    if not isinstance(value, dict):
        yield "{} is no object".format(place)
        return
    for name in value if EACH in wanted else wanted:
        inner = "{}.{}".format(place, name) if place else name
        if name not in value:
            yield "{} is missing".format(inner)
        else:
            yield from faults(value[name], wanted.get(name, wanted.get(EACH)), inner)


def fits(value, wanted):
    """Whether a plain value is of a type, of a form, in a range or one of some."""
    if isinstance(wanted, range):
        return type(value) is int and value in wanted  # true and false are integers to Python
    if isinstance(wanted, tuple):
        return any(type(value) is type(one) and value == one for one in wanted)
    if isinstance(wanted, type):
        return isinstance(value, wanted)
    return isinstance(value, str) and wanted.fullmatch(value) is not None


def read_recipe(folder):
    """build.json and the model's bytes, refused if something is missing or the model is another one."""
    try:
        recipe = json.loads((folder / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Problem("{}: no usable build.json: {}; export again".format(folder, error), 2) from error
    schema = recipe.get("schema_version") if isinstance(recipe, dict) else None
    if schema != SCHEMA:
        message = "build.json has schema {}, this script reads {}: copy both from one export"
        raise Problem(message.format(schema, SCHEMA), 2)
    found = list(faults(recipe, FIELDS))
    if found:
        more = " and {} more".format(len(found) - 3) if len(found) > 3 else ""
        raise Problem("build.json is damaged: {}{}: export again".format("; ".join(found[:3]), more), 2)
    return recipe, read_model(folder, recipe)


def read_model(folder, recipe):
    """The model that build.json names."""
    try:
        model = (folder / recipe["model"]).read_bytes()
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        message = "{} is not beside build.json ({}): copy the artifact again"
        raise Problem(message.format(recipe["model"], reason), 2) from error
    if sha256(model) != recipe["model_sha256"]:
        raise Problem("{} was altered (its sha256 differs): copy the artifact again".format(recipe["model"]), 2)
    return model
