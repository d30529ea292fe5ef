"""The folders that people edit (recipes, manifests, devices), found in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from moceir_edge.errors import InputError, MoceirEdgeError

Kind = Literal["export", "calibration", "devices"]

NAMED_IN = {"export": ".", "calibration": ".", "devices": "profiles"}
"""Where in each folder the files stand that can be asked for by name."""


def resource(kind: Kind) -> Path:
    """The bundled folder of this kind: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "_data" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise MoceirEdgeError(f"the bundled folder {kind} is missing", "install moceir-edge again")


def resource_names(kind: Kind) -> tuple[str, ...]:
    """Names of the bundled YAML files of this kind."""
    return tuple(sorted(path.stem for path in (resource(kind) / NAMED_IN[kind]).glob("*.yaml")))


def bundled(kind: Kind, name: str) -> Path:
    """The bundled YAML file of a name, whatever lies in the current folder."""
    return resource(kind) / NAMED_IN[kind] / f"{name}.yaml"


def find_resource(kind: Kind, name: str) -> Path:
    """A file that exists, else the bundled one of that name: `jetson`, `jetson.yaml` or `export/jetson.yaml`."""
    if Path(name).is_file():
        return Path(name)
    stem = name.removeprefix(f"{kind}/").removeprefix(f"{NAMED_IN[kind]}/").removesuffix(".yaml")
    if stem in resource_names(kind):
        return resource(kind) / NAMED_IN[kind] / f"{stem}.yaml"
    raise InputError(
        f"{name}: no such file, and none of that name in {kind}",
        f"give a path or one of {', '.join(resource_names(kind))}",
    )
