"""Whether the experts matter, and what routing noise would do."""

from __future__ import annotations

from moceir_edge.reporting.contents import (
    SHARE,
    Code,
    Heading,
    Mark,
    Number,
    Paragraph,
    Part,
    Phrase,
    Section,
    Table,
    Tone,
    joined,
    say,
)
from moceir_edge.reporting.recorded import Run
from moceir_edge.routing.relevance import EVERYWHERE, IDLE_DB, LayerRelevance, Relevance, Verdict

VERDICTS = {
    Verdict.IDLE: Mark("idle", Tone.UNSURE),
    Verdict.MATTERS: Mark("matters", Tone.GOOD),
    Verdict.UNKNOWN: Mark("unknown: no target", Tone.QUIET),
}


def relevance(run: Run) -> Section:
    """dB when an expert is replaced by another or by none: in words, then every layer."""
    title = "Do the experts matter?"
    measured = run.routing.relevance if run.routing else None
    if measured is None:
        return Section("relevance", title, (say("It was not measured, so counts of routes are no evidence of need."),))
    pictures = len(measured.pictures)
    parts: list[Part] = [
        say(
            "Use is not need. Every layer's experts were replaced by each other, and by none (the shortcut alone), on ",
            run.number("routing.relevance.pictures.length", "d"),
            f" choosing {'picture' if pictures == 1 else 'pictures'}, cropped to at most ",
            run.number("routing.relevance.crop", "d"),
            " pixels a side. Below: change of the mean PSNR in dB; minus is a loss.",
        )
    ]
    tasks = dict.fromkeys(row.task for row in measured.layers)
    for task in tasks:
        parts.extend((Heading(task), _in_words(measured, task)))
        parts.append(_relevance_table(run, measured, task))
    return Section("relevance", title, tuple(parts))


def _in_words(measured: Relevance, task: str) -> Paragraph:
    rows = [row for row in measured.layers if row.task == task]
    single = [row for row in rows if row.layer != EVERYWHERE]
    everywhere = next((row for row in rows if row.layer == EVERYWHERE), None)
    idle = [row for row in single if row.verdict is Verdict.IDLE]
    if len(idle) == len(single) and everywhere is not None and everywhere.verdict is Verdict.IDLE:
        return say(
            f"Any expert, or none, gives the same picture within {IDLE_DB:g} dB (mean), in every layer and in all of "
            "them at once: counting routes is no evidence here.",
            tone=Tone.UNSURE,
        )
    if not idle:
        known = all(row.verdict is Verdict.MATTERS for row in single)
        text = "The choice matters in every layer." if known else "Nothing says that an expert is idle."
        return say(text, tone=Tone.GOOD if known else None)
    names = joined([(Code(row.layer),) for row in idle])
    return say(
        f"Idle in {len(idle)} of {len(single)} layers (",
        *names,
        f"): there any expert, or none, gives the same picture within {IDLE_DB:g} dB (mean), and counting routes is no "
        "evidence.",
        tone=Tone.UNSURE,
    )


def _relevance_table(run: Run, measured: Relevance, task: str) -> Table:
    """A column for each replacement; a dash where it is every picture's own route."""
    found = {change.replacement for row in measured.layers for change in row.changes}
    columns = [*sorted(index for index in found if index is not None), *([None] if None in found else [])]
    rows = tuple(
        _relevance_row(run, index, row, columns) for index, row in enumerate(measured.layers) if row.task == task
    )
    head = (
        "layer",
        "verdict",
        *("none" if c is None else f"expert {c}" for c in columns),
        "worst picture",
        "worst parity",
    )
    return Table(head, rows, words=2)


def _relevance_row(run: Run, index: int, row: LayerRelevance, columns: list[int | None]) -> tuple[Phrase, ...]:
    places = {
        change.replacement: f"routing.relevance.layers.{index}.changes.{i}" for i, change in enumerate(row.changes)
    }
    cells: list[Phrase] = [
        (run.number(f"{places[column]}.mean_db", "+z.4f"),) if column in places else ("–",) for column in columns
    ]
    return (
        (row.layer if row.layer == EVERYWHERE else Code(row.layer),),
        (VERDICTS[row.verdict],),
        *cells,
        _lowest(run, row, places, "worst_db", "+z.4f"),
        _lowest(run, row, places, "parity_db", "z.1f"),
    )


def _lowest(run: Run, row: LayerRelevance, places: dict[int | None, str], field: str, form: str) -> Phrase:
    known = [(getattr(c, field), c.replacement) for c in row.changes if getattr(c, field) is not None]
    if not known:
        return ("–",)
    _, replacement = min(known, key=lambda item: item[0])
    return (run.number(f"{places[replacement]}.{field}", form),)


def noise(run: Run) -> Section:
    """What routing noise would do; nothing here ever adds it."""
    title = "Routing noise"
    measured = run.routing.noise if run.routing else None
    if measured is None:
        return Section("noise", title, (say("It was not measured."),))
    rows: list[tuple[Phrase, ...]] = []
    for index, task in enumerate(measured.tasks):
        place = f"routing.noise.tasks.{index}"
        values = [run.number(f"{place}.{name}_db", "z.3f") for name in ("clean", "mean", "min", "max")]
        spread = run.number(f"{place}.std_db", "z.4f")
        changed = run.number(f"{place}.routes_changed", SHARE, "%")
        numbers = (run.number(f"{place}.n", "d"), changed, *values, spread)
        rows.append(((task.task,), *_cells(numbers)))
    head = ("task", "pictures", "routes changed", "without", "mean", "lowest", "highest", "std")
    text = say(
        "In training the routers' logits get noise. Restoring here never adds any; this is what it would do, over ",
        run.number("routing.noise.draws", "d"),
        " draws (PSNR in dB, cropped pictures):",
    )
    return Section("noise", title, (text, Table(head, tuple(rows))))


def _cells(numbers: tuple[Number, ...]) -> tuple[Phrase, ...]:
    return tuple((number,) for number in numbers)
