"""Core ML packages: written so that equal content gives equal bytes, and read back.

coremltools gives every package fresh UUIDs, the date, and maps in any order. Here identifiers come from the content,
the date is left out, and maps are sorted, so the sha256 of each file says what is in it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moceir_edge.program.lower import IMAGE, RESTORED
from moceir_edge.records import sha256_of_file
from moceir_edge.targets import coreml_library

CONSTANTS = frozenset({"const", "constexpr_affine_dequantize"})
"""Kinds of operations that hold a value."""

_DATE = "com.github.apple.coremltools.conversion_date"
_ITEMS = Path("Data")
_MODEL = Path("com.apple.CoreML/model.mlmodel")
_WEIGHTS = Path("com.apple.CoreML/weights")

_PASSES = ("common::dead_code_elimination", "common::const_deduplication", "common::dedup_op_and_var_names")
"""Of coremltools' passes only those that leave every operation as it was written, its casts above all."""


@dataclass(frozen=True)
class Description:
    """What a person sees in Xcode; `tensors` describes inputs and outputs by name, `notes` are further fields."""

    title: str
    author: str
    licence: str
    version: str
    tensors: Mapping[str, str]
    notes: Mapping[str, str]


def write_package(mil: Any, path: Path, *, picture: bool, ios: int, description: Description) -> None:
    """Convert a MIL program of ours and save it; `picture`: 8-bit RGB in (scaled by 1/255 inside) and out."""
    ct = coreml_library.load()
    main = mil.functions["main"]
    inputs = None
    if picture:
        rgb = {"color_layout": ct.colorlayout.RGB}
        inputs = [ct.ImageType(name=IMAGE, shape=tuple(main.inputs[IMAGE].shape), scale=1 / 255, **rgb)]
        names = [value.name for value in main.outputs]
        kinds = {RESTORED: ct.ImageType(name=RESTORED, **rgb)}
        main.set_output_types([kinds.get(name, ct.TensorType(name=name)) for name in names])
    with coreml_library.without_progress_bars():
        model = ct.convert(
            mil,
            inputs=inputs,
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, f"iOS{ios}"),
            compute_precision=ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline(list(_PASSES), "moceir_edge"),
            skip_model_load=True,
        )
    _describe(model, description)
    model.save(str(path))
    _make_canonical(path, model.get_spec())


def _describe(model: Any, description: Description) -> None:
    model.short_description, model.author = description.title, description.author
    model.license, model.version = description.licence, description.version
    for name in model.input_description:
        model.input_description[name] = description.tensors[name]
    for name in model.output_description:
        model.output_description[name] = description.tensors[name]
    model.user_defined_metadata.update(description.notes)
    del model.user_defined_metadata[_DATE]


def _make_canonical(path: Path, spec: Any) -> None:
    model = path / _ITEMS / _MODEL
    model.write_bytes(spec.SerializeToString(deterministic=True))
    model.chmod(0o644)
    entries, identifiers = {}, {}
    for item, name, what in (
        (_MODEL, "model.mlmodel", "CoreML Model Specification"),
        (_WEIGHTS, "weights", "CoreML Model Weights"),
    ):
        identifiers[item] = _identifier(path / _ITEMS / item)
        entries[identifiers[item]] = {
            "author": "com.apple.CoreML",
            "description": what,
            "name": name,
            "path": item.as_posix(),
        }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": identifiers[_MODEL]}
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n", encoding="utf-8")


def _identifier(item: Path) -> str:
    """A UUID from the name and content of a package's item."""
    files = [item] if item.is_file() else sorted(file for file in item.rglob("*") if file.is_file())
    content = [item.name, *(f"{file.name}:{sha256_of_file(file)}" for file in files)]
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(content)))


@dataclass(frozen=True)
class Package:
    """A package as it was read back: its one function, shapes by name; `picture`: 8-bit RGB in and out."""

    function: Any
    shapes: Mapping[str, tuple[int, ...]]
    picture: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures it takes."""
        height, width = self.shapes[IMAGE][2:]
        return height, width

    @property
    def operations(self) -> list[Any]:
        """What is computed: everything but constants."""
        return [op for op in self.function.operations if op.op_type not in CONSTANTS]

    @property
    def constants(self) -> dict[str, Any]:
        """Operations that hold a constant, by the name of its value."""
        return {op.outputs[0].name: op for op in self.function.operations if op.op_type in CONSTANTS}


def read_package(path: Path) -> Package:
    """Read a package back from its files alone, with the reader that coremltools' compression tools use."""
    ct = coreml_library.load()
    from coremltools.converters.mil.frontend.milproto.load import load

    spec = ct.utils.load_spec(str(path))
    main = load(spec, spec.specificationVersion, str(path / _ITEMS / _WEIGHTS)).functions["main"]
    values = [*main.inputs.values(), *main.outputs]
    shapes = {value.name: tuple(int(side) for side in value.shape) for value in values}
    picture = spec.description.input[0].type.WhichOneof("Type") == "imageType"
    return Package(main, shapes, picture)
