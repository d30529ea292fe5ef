"""What manifest.json may say: every field of its type, and no path that leads elsewhere."""

from __future__ import annotations

import json
import re

from problem import Problem

SCHEMA = 1
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
AGAIN = "copy the bundle again"

SAFE_NAME = re.compile(r"[A-Za-z0-9_+=@ ,()\[\]-][A-Za-z0-9_.+=@ ,()\[\]-]*")
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9]) *(\..*)?", re.IGNORECASE)
"""Devices of Windows, whatever suffix they have: "Naming Files, Paths, and Namespaces" of Microsoft's documentation."""

FIELDS = {
    "name": str,
    "device": str,
    "profile": dict,
    "artifact_sha256": str,
    "target": str,
    "precision": str,
    "tasks": list,
    "runner": str,
    "runner_version": str,
    "needs": dict,
    "golden": list,
    "files": dict,
}
ENTRY = {"sha256": str, "size_bytes": int}
GOLDEN = {"name": str, "task": str, "input": str, "reference": str}
RAIL = {"name": str}
NEEDS = {"from_version": str, "below_version": str}
PROFILE = {"title": str, "system": str, "rails": list}
"""Of needs and profile, what this runner reads; each may be missing or null."""

HIGHEST_FLOOR_DB = 1e3
"""Far above what float32 can differ by; NaN is not below it."""


def parsed_manifest(data, where):
    """The manifest of its bytes; Problem where it is newer than this runner, damaged, or names a hostile path."""
    try:
        manifest = json.loads(data.decode("utf-8"))
        version = manifest["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Problem("{}: damaged ({}); {}".format(where, error, AGAIN)) from error
    if type(version) is int and version > SCHEMA:
        raise Problem(
            "{}: schema {} is newer than this runner's {}; use the runner of that bundle".format(where, version, SCHEMA)
        )
    for found in faults(manifest):
        raise Problem("{}: damaged: {}; {}".format(where, found, AGAIN))
    return manifest


def faults(manifest):
    """What is wrong in a manifest."""
    version = manifest["schema_version"]
    if type(version) is not int or version < 1:
        yield "schema_version is {!r:.40}".format(version)
    for found in wrong_fields(manifest, FIELDS, MANIFEST):
        yield found
        return
    if not safe(manifest["name"]) or "/" in manifest["name"]:
        yield "its name is {!r}".format(manifest["name"])
    if not all(type(task) is str for task in manifest["tasks"]):
        yield "tasks are {!r:.40}".format(manifest["tasks"])
    yield from wrong_files(manifest["files"])
    for row in manifest["golden"]:
        yield from wrong_golden(row, manifest["files"])
    yield from wrong_needs(manifest)


def wrong_files(files):
    """Paths that lead elsewhere, and entries that tell no hash or size."""
    for name, entry in files.items():
        if not safe(name) or name in (MANIFEST, SIGNATURE):
            yield "hostile path {!r}".format(name)
        yield from wrong_fields(entry, ENTRY, name)


def wrong_golden(row, files):
    """A golden pair that is not among the files, or has a floor that is none."""
    for found in wrong_fields(row, GOLDEN, "golden"):
        yield found
        return
    for kind in ("input", "reference"):
        if row[kind] not in files:
            yield "golden {} {!r} is none of its files".format(kind, row[kind])
    floor = row.get("floor_db")
    if floor is not None and not (type(floor) in (int, float) and abs(floor) < HIGHEST_FLOOR_DB):
        yield "golden: floor_db is {!r:.40}".format(floor)


def wrong_needs(manifest):
    """What needs and profile say in another type than this runner reads."""
    for part, fields in (("needs", NEEDS), ("profile", PROFILE)):
        said = manifest[part]
        given = {name: kind for name, kind in fields.items() if said.get(name) is not None}
        yield from wrong_fields(said, given, part)
    rails = manifest["profile"].get("rails")
    for rail in rails if isinstance(rails, list) else ():
        yield from wrong_fields(rail, RAIL, "rails")


def wrong_fields(value, fields, where):
    """Fields that are not there, or of another type."""
    if not isinstance(value, dict):
        yield "{} is no object".format(where)
        return
    for name, kind in fields.items():
        if type(value.get(name)) is not kind:
            yield "{}: {} is {!r:.40}".format(where, name, value.get(name))


def safe(name):
    """Whether a path means the same on every system, and stays below the folder it is joined to."""
    return bool(name) and all(safe_part(part) for part in name.split("/"))


def safe_part(part):
    """One name of a path."""
    return bool(SAFE_NAME.fullmatch(part)) and not part.endswith((" ", ".")) and not RESERVED.fullmatch(part)
