"""The folders that people edit (recipes, manifests, devices), found in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from moceir_edge.errors import InputError, MoceirEdgeError

Kind = Literal["export", "calibration", "devices"]
Named = Literal["export", "calibration", "devices", "training"]

NAMED_IN: dict[Named, tuple[Kind, str]] = {
    "export": ("export", "."),
    "calibration": ("calibration", "."),
    "devices": ("devices", "profiles"),
    "training": ("calibration", "training"),
}
"""In which folder, and where in it, the files stand that can be asked for by name."""


def resource(kind: Kind) -> Path:
    """The bundled folder of this kind: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "_data" / kind, package.parent / kind):
        if folder.is_dir():
            return folder
    raise MoceirEdgeError(f"the bundled folder {kind} is missing", "install moceir-edge again")


def resource_names(kind: Named) -> tuple[str, ...]:
    """Names of the bundled YAML files of this kind."""
    return tuple(sorted(path.stem for path in _folder(kind).glob("*.yaml")))


def _folder(kind: Named) -> Path:
    folder, place = NAMED_IN[kind]
    return resource(folder) / place


def bundled(kind: Named, name: str) -> Path:
    """The bundled YAML file of a name, whatever lies in the current folder."""
    return _folder(kind) / f"{name}.yaml"


def find_resource(kind: Named, name: str) -> Path:
    """A file that exists, else the bundled one of that name: `jetson`, `jetson.yaml` or `export/jetson.yaml`."""
    if Path(name).is_file():
        return Path(name)
    folder, place = NAMED_IN[kind]
    stem = name.removeprefix(f"{folder}/").removeprefix(f"{place}/").removesuffix(".yaml")
    if stem in resource_names(kind):
        return bundled(kind, stem)
    raise InputError(
        f"{name}: no such file, and none of that name in {kind}",
        f"give a path or one of {', '.join(resource_names(kind))}",
    )
