"""The pictures of a run: input, reference, artifact, what differs, target."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.parity.compare import REFERENCE, Row
from moceir_edge.reporting.contents import Gallery, Heading, Part, Phrase, Section, Shown, Tone, say
from moceir_edge.reporting.embed import Embedded, embed
from moceir_edge.reporting.pictures import GAIN
from moceir_edge.reporting.recorded import RecipeRun, Run

BUDGET_BYTES = 6_500_000
"""All pictures together; base64 makes a third more of them, and the page stays below 10 MB."""

SATURATED = 127
"""From this distance to mid grey on a difference may be larger than it is shown."""

KINDS = ("input", "reference", "artifact", "difference", "target")


def pictures(run: Run) -> Section:
    """A gallery for each picture that the pipeline kept, with the PSNR of every version."""
    found = {recipe.name: _stems(run.folder / f"pictures-{recipe.name}") for recipe in run.recipes}
    count = sum(len(paths) for stems in found.values() for paths in stems.values())
    if not count:
        return Section("pictures", "Pictures", (say("No pictures are here: they come with verification."),))
    limit = BUDGET_BYTES // count
    parts: list[Part] = [
        say("PSNR against the target. Touch or click a picture to enlarge it, again to put it back.", tone=Tone.QUIET)
    ]
    for recipe in run.recipes:
        stems = found[recipe.name]
        if stems:
            parts.append(Heading(recipe.name))
        parts.extend(_gallery(run, recipe, stem, stems[stem], limit) for stem in _ordered(recipe, stems))
    return Section("pictures", "Pictures", tuple(parts))


def _stems(folder: Path) -> dict[str, dict[str, Path]]:
    stems: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.png")):
        stem, _, kind = path.name.removesuffix(".png").rpartition(".")
        if kind in KINDS:
            stems.setdefault(stem, {})[kind] = path
    return stems


def _ordered(recipe: RecipeRun, stems: dict[str, dict[str, Path]]) -> list[str]:
    """In the order of verification; pictures it does not know come last."""
    known = [stem_of(score.name) for score in _rows(recipe)[0].pictures] if _rows(recipe) else []
    return sorted(stems, key=lambda stem: (known.index(stem) if stem in known else len(known), stem))


def stem_of(name: str) -> str:
    """The file name of a sample, without kind and ending."""
    return name.replace("/", "__")


def _gallery(run: Run, recipe: RecipeRun, stem: str, paths: dict[str, Path], limit_bytes: int) -> Gallery:
    index = _index(recipe, stem)
    shown = []
    for kind in KINDS:
        if kind in paths:
            made = embed(paths[kind], limit_bytes=limit_bytes)
            note = "; ".join(filter(None, (_remark(kind, made), made.note)))
            shown.append(Shown(_title(recipe, kind), made.uri, note, _quality(run, recipe, kind, index)))
    rows = _rows(recipe)
    title = stem if index is None else rows[0].pictures[index].name
    return Gallery(title, _warning(recipe, index), tuple(shown))


def _rows(recipe: RecipeRun) -> tuple[Row, ...]:
    return recipe.verification.rows if recipe.verification else ()


def _index(recipe: RecipeRun, stem: str) -> int | None:
    rows = _rows(recipe)
    names = [stem_of(score.name) for score in rows[0].pictures] if rows else []
    return names.index(stem) if stem in names else None


def _title(recipe: RecipeRun, kind: str) -> str:
    """The last step stands where the artifact would, under its own name."""
    rows = _rows(recipe)
    if kind == "artifact" and rows and rows[-1].step != "artifact":
        return f"{rows[-1].step} (the artifact was not run)"
    return f"difference ×{GAIN:.0f}" if kind == "difference" else kind


def _remark(kind: str, made: Embedded) -> str:
    """What the eye cannot see: how large a difference is, in grey levels, and why a flat picture is not shown."""
    if kind != "difference":
        return "one flat colour: not shown" if made.uri is None else ""
    if made.uri is None and made.swing <= 1:
        return f"nothing to show: no value differs by as much as 1/{GAIN:.0f} of a grey level"
    if made.swing >= SATURATED:
        return f"up to {SATURATED / GAIN:.0f} grey levels or more"
    return f"up to {made.swing / GAIN:.1f} grey levels"


def _quality(run: Run, recipe: RecipeRun, kind: str, index: int | None) -> Phrase:
    if index is None:
        return ()
    last = len(_rows(recipe)) - 1
    place = f"verify-{recipe.name}.rows"
    match kind:
        case "input":
            return (run.number(f"{place}.0.pictures.{index}.input_db", unit="dB"),)
        case "reference":
            return (run.number(f"{place}.0.pictures.{index}.quality_db", unit="dB"),)
        case "artifact":
            return (run.number(f"{place}.{last}.pictures.{index}.quality_db", unit="dB"),)
        case "difference":
            return ("parity ", run.number(f"{place}.{last}.pictures.{index}.parity_db", unit="dB"))
        case _:
            return ()


def _warning(recipe: RecipeRun, index: int | None) -> Phrase:
    if index is None:
        return ("verification does not know this picture",)
    row = next(row for row in _rows(recipe) if row.step == REFERENCE)
    score = row.pictures[index]
    if score.input_db is None or score.quality_db is None or score.quality_db > score.input_db:
        return ()
    return ("here the reference is no better than its input",)
