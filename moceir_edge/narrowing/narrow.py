"""The stage: from a model, pictures and a budget to a narrow model, refitted, distilled where asked, and judged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moceir_edge import processor
from moceir_edge.data.split import Split
from moceir_edge.errors import InputError, MoceirEdgeError, OutputError, PlanError
from moceir_edge.exporting import require_target
from moceir_edge.narrowing.apply import narrow_model
from moceir_edge.narrowing.budget import Budget
from moceir_edge.narrowing.costs import COUNTS, Unit
from moceir_edge.narrowing.distillation import Distillation
from moceir_edge.narrowing.given import sides_for, tasks_for
from moceir_edge.narrowing.judge import Judgement, judge
from moceir_edge.narrowing.measured import Candidate, Measured, measure
from moceir_edge.narrowing.plan import NarrowingPlan
from moceir_edge.narrowing.timed import LatencySearch
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.network.network import MoceIR
from moceir_edge.recipe.read import read_recipe
from moceir_edge.records import Record, refuse_existing
from moceir_edge.resources import bundled
from moceir_edge.run_folder import RunFolder
from moceir_edge.terms import Progress, Task, silent
from moceir_edge.versions import versions

MULTIPLE = 16
"""Widths that kernels like: ONNX Runtime's blocks of channels on AVX-512 (8 on AVX2), tensor cores (8)."""

MODEL = "narrow.safetensors"


class Cutting(Record):
    """The plan that was taken, all that were tried, and what was timed, where a latency was asked for.

    predicted_db: what the plan's model loses before any training, on choosing crops that refitted nothing.
    """

    plan: NarrowingPlan
    candidates: tuple[Candidate, ...]
    predicted_db: float
    latency: LatencySearch | None


class Narrowed(Record):
    """A narrow model that was written.

    parameters, macs: of it and of the model it was made of, at 256x256; distilled: training steps, 0 without.
    """

    path: str
    sha256: str
    tasks: tuple[Task, ...]
    cutting: Cutting
    parameters: tuple[int, int]
    macs: tuple[int, int]
    distilled: int
    judgement: Judgement


@dataclass(frozen=True)
class NarrowRequest:
    """What is asked for. distil: how to train afterwards; multiple: of the widths that stay."""

    model: Path
    data: Path
    out: Path
    budget: Budget
    tasks: tuple[Task, ...] = ()
    calibration: Path | None = None
    distil: Distillation | None = None
    multiple: int = MULTIPLE


def narrow(
    request: NarrowRequest,
    *,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> Narrowed:
    """Narrow a model to a budget for its tasks; what is done is kept in `<out>.run`, and a killed run goes on there.

    Errors: PlanError for a budget that cannot be reached, DataError, InputError, OutputError.
    """
    out = request.out
    refuse_existing(out, force=force)
    if out.suffix != ".safetensors":
        raise OutputError(f"{out}: a narrow model is a .safetensors", "end the name in .safetensors")
    if request.multiple < 4 or request.multiple % 4:
        raise InputError(f"widths in multiples of {request.multiple} are none", "give a multiple of 4, such as 8 or 16")
    if request.budget.latency_ms is not None:
        require_target(read_recipe(bundled("export", "desktop")))
    model = load(request.model)
    tasks = tasks_for(model, request.tasks)
    sides = sides_for(request.data, request.calibration, tasks, progress=progress, say=say)
    if request.distil is not None:
        request.distil.refuse_judging(sides.judging, tasks)
    run = RunFolder(out.with_name(f"{out.name}.run"), say=say)
    with run.open(force=False), _removed_if_empty(run):
        return _Narrowing(request, model, tasks, sides, run, progress, say).narrowed()


@contextmanager
def _removed_if_empty(run: RunFolder) -> Iterator[None]:
    """What was refused before anything was measured leaves no folder behind."""
    try:
        yield
    except MoceirEdgeError:
        if not any(run.folder.glob("*.json")):
            shutil.rmtree(run.folder, ignore_errors=True)
        raise


@dataclass(frozen=True)
class _Narrowing:
    request: NarrowRequest
    model: LoadedModel
    tasks: tuple[Task, ...]
    sides: Split
    run: RunFolder
    progress: Progress
    say: Callable[[str], None]

    def narrowed(self) -> Narrowed:
        cutting = self.cut()
        narrow, steps = self.distilled(load(self.run.folder / MODEL), cutting.plan)
        judgement = self.judged(narrow)
        save(narrow, self.request.out)
        return Narrowed(
            path=str(self.request.out),
            sha256=narrow.sha256,
            tasks=self.tasks,
            cutting=cutting,
            parameters=(narrow.parameters, self.model.parameters),
            macs=(_macs(narrow), _macs(self.model)),
            distilled=steps,
            judgement=judgement,
        )

    def cut(self) -> Cutting:
        budget = self.request.budget

        def action() -> Cutting:
            network = self.model.network
            found = measure(network, self.sides.choosing, multiple=self.request.multiple, progress=self.progress)
            cutting, narrow = self.planned(found)
            path = self.run.folder / MODEL
            choosing = self.sides.choosing
            save(narrow_model(self.model, narrow, cutting.plan, choosing=choosing, tasks=self.tasks, path=path), path)
            return cutting

        key = {
            "model": self.model.sha256,
            "choosing": self.sides.choosing.sha256,
            "tasks": self.tasks,
            "budget": budget.model_dump(mode="json"),
            "multiple": self.request.multiple,
            "machine": None if budget.latency_ms is None else processor.identity(),
            "versions": versions(),
        }
        return self.run.stage("cut", key, Cutting, action, outputs=lambda _: [MODEL])

    def planned(self, found: Measured) -> tuple[Cutting, MoceIR]:
        plans, latency = self.plans(found)
        plan, narrow, candidates = found.best(plans, progress=self.progress)
        predicted = next(one.loss_db for one in candidates if one.trunk == plan.trunk)
        cutting = Cutting(plan=plan, candidates=candidates, predicted_db=predicted, latency=latency)
        self.say(f"{plan.text}\npredicted: {predicted:.2f} dB lost before any training")
        return cutting, narrow

    def plans(self, found: Measured) -> tuple[tuple[NarrowingPlan, ...], LatencySearch | None]:
        budget, progress = self.request.budget, self.progress
        if budget.latency_ms is not None:
            from moceir_edge.narrowing.latency import plans_within, time_tables

            tables = time_tables(found, progress=progress)
            return plans_within(found, tables, limit_ms=budget.latency_ms, progress=progress)
        tables = found.tables(budget.unit, progress=progress)
        whole = tables[self.model.architecture.width].costs.whole
        limit = budget.limit(whole)
        if limit >= whole:
            raise PlanError(f"the model has {whole:,} {budget.unit}, and {limit:,} are asked for", "ask for fewer")
        return found.plans(tables, unit=budget.unit, budget=limit), None

    def distilled(self, narrow: LoadedModel, plan: NarrowingPlan) -> tuple[LoadedModel, int]:
        distil = self.request.distil
        if distil is None:
            return narrow, 0
        trained = distil.train(
            narrow,
            teacher=self.model,
            kept=plan.kept,
            tasks=self.tasks,
            folder=self.run.folder / f"distil-{distil.key(narrow, self.model)[:12]}",
            say=self.say,
            progress=self.progress,
        )
        return load(Path(trained.model)), trained.steps

    def judged(self, narrow: LoadedModel) -> Judgement:
        def action() -> Judgement:
            return judge(self.model.network, narrow.network, self.sides.judging, progress=self.progress)

        key = {"model": self.model.sha256, "narrow": narrow.sha256, "judging": self.sides.judging.sha256}
        return self.run.stage("judgement", {**key, "versions": versions()}, Judgement, action)


def _macs(model: LoadedModel) -> int:
    return sum(COUNTS[Unit.MACS](model.network).values())
