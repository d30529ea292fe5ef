"""What is measured: the model that was named, its kept experts, and the pictures around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moceir_edge.benchmarking.experts import experts_from_routing, experts_from_text, keep_experts, require_single
from moceir_edge.data.dataset import Dataset, Sample, require_readable, require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import split, subset
from moceir_edge.errors import DataError, InputError, PlanError
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.network.golden import PREFIX, golden_model
from moceir_edge.resources import bundled
from moceir_edge.terms import Task

JUDGED = 2
"""Judging pictures of each task: enough to see what a precision costs, few enough for every variant."""


@dataclass(frozen=True)
class Subject:
    """full: what eager runs; kept: what everything else is made of; experts: as baselines are named, by level.

    whole: what the model was narrowed from, where that is measured, too.
    """

    full: LoadedModel
    kept: LoadedModel
    experts: tuple[int, ...] | None
    whole: LoadedModel | None = None


@dataclass(frozen=True)
class Pictures:
    """choosing: calibrate; judging: few, with targets, None without DATA; shown: the one that is timed."""

    choosing: Dataset
    judging: Dataset | None
    shown: Sample


def open_subject(
    name: str, *, experts: str | None, routing: Path | None, tasks: Sequence[Task], whole: Path | None = None
) -> Subject:
    """A MODEL file or a golden name, with one expert a layer; a slim model has made its choice already.

    experts: indices as text, "0" where neither it nor a routing is given. whole: a slim MODEL that it was narrowed
    from. Errors: CheckpointError, PlanError, InputError.
    """
    model = golden_model(name) if name.startswith(PREFIX) else load(name)
    before = None if whole is None else load(whole)
    if experts is not None and routing is not None:
        raise InputError("--experts and --routing both choose", "give one of them")
    if routing is not None and not tasks:
        raise InputError("a routing chooses for tasks, and none is named", "name one or more with --task")
    if model.architecture.slim:
        if experts is not None or routing is not None:
            raise PlanError(f"{name}: the model is slim already", "leave --experts and --routing out")
        require_single(model)
        if before is not None:
            _require_narrowed(model, before)
        return Subject(model, model, None, before)
    if before is not None:
        raise PlanError(f"{name}: no model was narrowed to this one", "leave --whole out")
    if routing is not None:
        chosen = experts_from_routing(routing, model, tasks)
    else:
        chosen = experts_from_text("0" if experts is None else experts, model.architecture)
    return Subject(model, keep_experts(model, chosen), chosen)


def _require_narrowed(narrow: LoadedModel, whole: LoadedModel) -> None:
    """PlanError where it was made of another model, or that one has several experts in a layer."""
    if narrow.provenance.get("narrowing", {}).get("model_sha256") != whole.sha256:
        what = f"{narrow.origin}: it was not narrowed from {whole.origin}"
        raise PlanError(what, "give the model that narrow was given, or leave --whole out")
    require_single(whole)


def open_pictures(data: Path | None, tasks: Sequence[Task]) -> Pictures:
    """The bundled pictures calibrate where DATA is not given; DataError where it cannot judge."""
    if data is None:
        choosing = read_data(bundled("calibration", "demo"))
        return Pictures(choosing, None, choosing.samples[0])
    sides = split(read_data(data).of(tasks) if tasks else read_data(data))
    if not sides.judging.samples or not sides.choosing.samples:
        raise DataError(f"{data}: too few pictures to calibrate on some and judge on others", "give more pictures")
    require_targets(sides.judging)
    judging = subset(sides.judging, JUDGED)
    for side in (sides.choosing, judging):
        require_readable(side)
    return Pictures(sides.choosing, judging, judging.samples[0])
