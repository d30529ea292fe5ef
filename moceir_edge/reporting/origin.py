"""Where everything came from: pictures, hashes, versions, recipes."""

from __future__ import annotations

import json
import re
from pathlib import PurePath

from moceir_edge.reporting.contents import Code, Heading, Listing, Part, Phrase, Section, Table, say
from moceir_edge.reporting.recorded import RecipeRun, Run


def origin(run: Run) -> Section:
    """Data, model, references, then every recipe."""
    parts: list[Part] = [*_data(run), *_hashes(run)]
    for recipe in run.recipes:
        parts.extend(_recipe(recipe))
    return Section("origin", "Where it came from", tuple(parts))


def file_name(path: str) -> str:
    """The last part of a path of any system: a report travels, folders of a machine do not."""
    return re.split(r"[\\/]", path)[-1] or PurePath(path).name


def _data(run: Run) -> list[Part]:
    if run.data is None:
        return []
    data = run.data
    sentence = say(
        run.number("data.choosing.length", "d"),
        " pictures observe, calibrate and choose; ",
        run.number("data.judging.length", "d"),
        " others are there to judge; those of the tasks asked for do. A picture on both sides would have been refused.",
    )
    names = tuple((("chooses",), (name,)) for name in data.choosing) + tuple((("judges",), (n,)) for n in data.judging)
    table = Table(("side", "picture"), names, words=2, fold="their names")
    if not data.skipped:
        return [sentence, say("Nothing in the data was skipped."), table]
    skipped = say(run.number("data.skipped.length", "d"), " skipped in the data:")
    return [sentence, skipped, Listing(tuple((text,) for text in data.skipped)), table]


def _hashes(run: Run) -> list[Part]:
    rows: list[tuple[Phrase, ...]] = []
    if run.model is not None:
        rows.append(_row(f"model {run.model.name}, {file_name(run.model.origin)}", run.model.sha256))
    if run.data is not None:
        rows.append(_row("choosing pictures", run.data.choosing_sha256))
        rows.append(_row("judging pictures", run.data.judging_sha256))
    if run.routing is not None:
        rows.append(_row("routing", run.routing.sha256))
    if run.slim is not None:
        rows.append(_row("slim model", run.slim.model_sha256))
    parts: list[Part] = [Table(("what", "sha256"), tuple(rows), words=2)] if rows else []
    for name, reference in run.references.items():
        where = f"torch {reference.torch} on {reference.device}"
        size = "each at its own size" if reference.size is None else f"at {reference.size[1]}×{reference.size[0]}"
        count = run.number(f"{name}.pictures.length", "d")
        parts.append(say(f"{name}: outputs of the full model on ", count, f" pictures, {size}, by {where}."))
    return parts


def _recipe(recipe: RecipeRun) -> list[Part]:
    artifact = recipe.judged or recipe.artifact
    if artifact is None:
        return []
    hashes = [(name, value) for name, value in artifact.origin.model_dump().items() if value is not None]
    files = [(f"{name} ({entry.size_bytes:,} bytes)", entry.sha256) for name, entry in artifact.files.items()]
    made_from = tuple(_row(name.removesuffix("_sha256"), value) for name, value in hashes)
    versions = ", ".join(f"{name} {version}" for name, version in artifact.versions.items())
    return [
        Heading(recipe.name),
        say(f"Made with {versions}."),
        Table(("made from", "sha256"), made_from, words=2),
        Table(("file", "sha256"), tuple(_row(name, value) for name, value in files), words=2, fold="files"),
        Table(("recipe",), (((Code(json.dumps(artifact.recipe, indent=2)),),),), fold="the whole recipe"),
    ]


def _row(what: str, sha256: str) -> tuple[Phrase, ...]:
    return (what,), (Code(sha256),)
