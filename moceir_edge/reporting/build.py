"""The report of a run: one page that can be mailed, from the JSON and the pictures in the run folder."""

from __future__ import annotations

from pathlib import Path

import jinja2

from moceir_edge.records import replacing_file
from moceir_edge.reporting.contents import Page, Paragraph, Tone, say
from moceir_edge.reporting.devices import devices
from moceir_edge.reporting.experts import routing
from moceir_edge.reporting.gallery import pictures
from moceir_edge.reporting.guard import guard
from moceir_edge.reporting.need import noise, relevance
from moceir_edge.reporting.origin import origin
from moceir_edge.reporting.plan import plan
from moceir_edge.reporting.precision import precision
from moceir_edge.reporting.proven import proofs
from moceir_edge.reporting.quality import quality
from moceir_edge.reporting.recorded import Run, read_run
from moceir_edge.reporting.sizes import sizes
from moceir_edge.reporting.truth import truth_text
from moceir_edge.reporting.verdict import card, gates, idle_tasks

FILE_NAME, TRUTH = "report.html", "truth.md"
SECTIONS = (pictures, quality, sizes, routing, relevance, noise, plan, guard, precision, gates, devices, proofs, origin)
"""In the order in which a person wants them."""


def report(run: Path) -> Path:
    """Write `report.html` into a run folder, whole or not; what is missing is said in it.

    `truth.md` beside it is its table of proofs. InputError if nothing of a run is there.
    """
    path, recorded = run / FILE_NAME, read_run(run)
    for place, text in ((run / TRUTH, truth_text(recorded)), (path, render(page(recorded)))):
        with replacing_file(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path


def page(run: Run) -> Page:
    """Everything the page says."""
    model = "" if run.model is None else f"model {run.model.name}"
    return Page(
        title=_title(run),
        subtitle=model,
        notes=(*_notes(run), *idle_tasks(run)),
        cards=tuple(card(run, recipe) for recipe in run.recipes),
        sections=tuple(make(run) for make in SECTIONS),
    )


def render(content: Page) -> str:
    """HTML without scripts and without anything from outside."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("moceir_edge", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html").render(page=content)


def _notes(run: Run) -> tuple[Paragraph, ...]:
    missing = tuple(say(f"Missing: {text}.", tone=Tone.BAD) for text in run.missing)
    return (*missing, *(say(f"Does not fit: {text}.", tone=Tone.BAD) for text in run.unfit))


def _title(run: Run) -> str:
    artifacts = [recipe.artifact for recipe in run.recipes if recipe.artifact is not None]
    tasks = run.slim.plan.tasks if run.slim else artifacts[0].tasks if artifacts else ()
    return ", ".join(tasks) or "An unfinished run"
