"""The guard in use: its rule, and how well it tells the pictures of other tasks from those of the model's own."""

from __future__ import annotations

from moceir_edge.guard_calibration import GuardFacts, TaskGuard
from moceir_edge.reporting.contents import SHARE, Drawing, Mark, Part, Phrase, Section, Table, Tone, say
from moceir_edge.reporting.figures import Curve, roc_chart
from moceir_edge.reporting.recorded import Run

TOLD_APART = 0.9
"""Area under the ROC curve from which a task counts as told apart."""


def guard(run: Run) -> Section:
    """The rule in words, a row for each task, the ROC curves."""
    title = "The guard in use"
    facts = run.guard
    if facts is None:
        return Section("guard", title, (say("Nothing is known of it: that stage has not run."),))
    if facts.rule is None:
        return Section("guard", title, (say(f"There is none: {facts.reason}.", tone=Tone.UNSURE),))
    return Section("guard", title, (*_rule(run, facts), *_tasks(run, facts)))


def _rule(run: Run, facts: GuardFacts) -> list[Part]:
    assert facts.rule is not None
    aim = say(
        "A picture is foreign where the scores of its routers are farther than ",
        run.number("guard.rule.threshold", ".2f"),
        " from their nearest ",
        run.number("guard.rule.neighbours", "d"),
        " among ",
        run.number("guard.rule.pictures.length", "d"),
        f" choosing pictures of {', '.join(facts.tasks)} (root of the mean squared difference of logarithms; "
        f"{facts.how}). "
        "The limit aims at ",
        run.number("guard.rule.false_alarms", SHARE, "%"),
        " false alarms.",
    )
    if facts.rule.left_out_false_alarms is None:
        return [aim, say("Too few photographs chose to try it on those that it has not seen.", tone=Tone.UNSURE)]
    tried = say(
        "Each choosing photograph left out in turn, the others call ",
        run.number("guard.rule.left_out_false_alarms", SHARE, "%"),
        " of these pictures foreign.",
    )
    return [aim, tried]


def _tasks(run: Run, facts: GuardFacts) -> list[Part]:
    if not facts.by_task:
        return [say("No judging picture tried it.", tone=Tone.UNSURE)]
    rows = tuple(_row(run, index, row) for index, row in enumerate(facts.by_task))
    caption = (
        "Judging pictures; those of other tasks are what the model is not for. Area: the chance that a picture of that "
        "task is farther than one of the model's own; 1 tells them apart, 0.5 does not."
    )
    table = Table(("task", "pictures", "called foreign", "area under ROC", ""), rows, caption=caption, tail=1)
    return [table, *_curves(facts)]


def _row(run: Run, index: int, row: TaskGuard) -> tuple[Phrase, ...]:
    place = f"guard.by_task.{index}"
    return (
        (row.task.value,),
        (run.number(f"{place}.n", "d"),),
        (run.number(f"{place}.alarms", SHARE, "%"),),
        (run.number(f"{place}.area", ".3f"),),
        (_meaning(row),),
    )


def _meaning(row: TaskGuard) -> Mark:
    if row.own:
        return Mark("its own: these are false alarms", Tone.QUIET)
    if row.area is None:
        return Mark("nothing to compare with", Tone.QUIET)
    return Mark("told apart", Tone.GOOD) if row.area >= TOLD_APART else Mark("looks alike to the routers", Tone.UNSURE)


def _curves(facts: GuardFacts) -> list[Part]:
    foreign = [row for row in facts.by_task if row.curve is not None]
    own = [picture.foreign for picture in facts.judged if picture.task in facts.tasks]
    if not foreign or not own:
        return []
    false_alarms = sum(own) / len(own)
    curves = [
        Curve(f"{row.task.value}: {row.area:.2f} (n = {row.n})", row.curve, (false_alarms, row.alarms))
        for row in foreign
        if row.curve is not None and row.area is not None
    ]
    caption = (
        f"ROC curves of the guard against {len(own)} judging pictures of {', '.join(facts.tasks)}, with the area under "
        "each; the marks are where the limit in use stands."
    )
    return [Drawing(roc_chart(curves), caption)]
