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
from tempfile import TemporaryDirectory
from typing import Any

from moceir_edge.errors import ArtifactError
from moceir_edge.program.program import IMAGE, RESTORED
from moceir_edge.records import sha256_of_file
from moceir_edge.targets import coreml_library

CONSTANTS = frozenset({"const", "constexpr_affine_dequantize", "constexpr_lut_to_dense"})
"""Kinds of operations that hold a value."""

MAIN = "main"
"""The function of a package that has only one."""

_DATE = "com.github.apple.coremltools.conversion_date"
_ITEMS = Path("Data")
_MODEL = Path("com.apple.CoreML/model.mlmodel")
_WEIGHTS = Path("com.apple.CoreML/weights")

_DAMAGED = (
    ValueError, RuntimeError, KeyError, AttributeError, TypeError, IndexError, NotImplementedError, AssertionError
)  # fmt: skip
"""What coremltools' readers raise at files that are none of a package, or not whole."""

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


def write_package(mils: Mapping[str, Any], path: Path, *, picture: bool, ios: int, description: Description) -> None:
    """Convert MIL programs of ours and save them as the functions of a package; the first one is the default.

    picture: 8-bit RGB in (scaled by 1/255 inside) and out. Several functions share their weights, and need iOS 18:
    coremltools joins packages that were saved alone.
    """
    ct = coreml_library.load()
    if len(mils) == 1:
        _converted(mils[MAIN], picture=picture, ios=ios).save(str(path))
    else:
        joined = ct.utils.MultiFunctionDescriptor()
        joined.default_function_name = next(iter(mils))
        with TemporaryDirectory(dir=path.parent) as folder, coreml_library.without_progress_bars():
            for name, mil in mils.items():
                alone = str(Path(folder) / f"{name}.mlpackage")
                _converted(mil, picture=picture, ios=ios).save(alone)
                joined.add_function(alone, src_function_name=MAIN, target_function_name=name)
            ct.utils.save_multifunction(joined, str(path))
    spec = ct.utils.load_spec(str(path))
    _describe(spec, description)
    _make_canonical(path, spec)


def _converted(mil: Any, *, picture: bool, ios: int) -> Any:
    """As coremltools' MLModel."""
    ct = coreml_library.load()
    main = mil.functions[MAIN]
    inputs = None
    if picture:
        rgb = {"color_layout": ct.colorlayout.RGB}
        inputs = [ct.ImageType(name=IMAGE, shape=tuple(main.inputs[IMAGE].shape), scale=1 / 255, **rgb)]
        names = [value.name for value in main.outputs]
        kinds = {RESTORED: ct.ImageType(name=RESTORED, **rgb)}
        main.set_output_types([kinds.get(name, ct.TensorType(name=name)) for name in names])
    with coreml_library.without_progress_bars():
        return ct.convert(
            mil,
            inputs=inputs,
            convert_to="mlprogram",
            minimum_deployment_target=getattr(ct.target, f"iOS{ios}"),
            compute_precision=ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline(list(_PASSES), "moceir_edge"),
            skip_model_load=True,
        )


def _describe(spec: Any, description: Description) -> None:
    metadata = spec.description.metadata
    metadata.shortDescription, metadata.author = description.title, description.author
    metadata.license, metadata.versionString = description.licence, description.version
    for one in spec.description.functions or [spec.description]:
        for feature in (*one.input, *one.output):
            feature.shortDescription = description.tensors[feature.name]
    for name, value in description.notes.items():
        metadata.userDefined[name] = value
    metadata.userDefined.pop(_DATE, None)


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
    """A function of a package as it was read back, shapes by name; `picture`: 8-bit RGB in and out."""

    function: Any
    shapes: Mapping[str, tuple[int, ...]]
    picture: bool

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures it takes."""
        found = self.shapes.get(IMAGE, ())
        if len(found) != 4:
            raise ArtifactError(f"a Core ML package without an input {IMAGE} of 4 axes", "export again")
        return found[2], found[3]

    @property
    def operations(self) -> list[Any]:
        """What is computed: everything but constants."""
        return [op for op in self.function.operations if op.op_type not in CONSTANTS]

    @property
    def constants(self) -> dict[str, Any]:
        """Operations that hold a constant, by the name of its value."""
        return {op.outputs[0].name: op for op in self.function.operations if op.op_type in CONSTANTS}


def read_package(path: Path) -> Package:
    """The default function of a package; see `read_functions`."""
    return next(iter(read_functions(path).values()))


def read_functions(path: Path) -> dict[str, Package]:
    """Read a package back from its files alone, with the reader that coremltools' compression tools use.

    Its functions by name, the default one first. ArtifactError if one of its files is missing or is something else.
    """
    for item in (Path("Manifest.json"), _ITEMS / _MODEL):
        if not (path / item).is_file():
            raise ArtifactError(f"{path}: not a whole Core ML package: {item.as_posix()} is missing", "export again")
    ct = coreml_library.load()
    from coremltools.converters.mil.frontend.milproto.load import load
    from google.protobuf.message import DecodeError

    try:
        spec = ct.utils.load_spec(str(path))
        functions = load(spec, spec.specificationVersion, str(path / _ITEMS / _WEIGHTS)).functions
        default = spec.description.defaultFunctionName or MAIN
        names = sorted(functions, key=lambda name: name != default)
        features = {one.name: one.input[0] for one in spec.description.functions}
        return {name: _package(functions[name], features.get(name) or spec.description.input[0]) for name in names}
    except (*_DAMAGED, DecodeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ArtifactError(f"{path}: not a Core ML package of ours: {reason}", "export again") from error


def _package(function: Any, given: Any) -> Package:
    """given: the description of its first input."""
    values = [*function.inputs.values(), *function.outputs]
    shapes = {value.name: tuple(int(side) for side in value.shape) for value in values}
    return Package(function, shapes, given.type.WhichOneof("Type") == "imageType")
