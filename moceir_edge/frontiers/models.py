"""The models of a frontier: the one given, slimmed for its tasks, and narrow ones made of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from moceir_edge.compress.costs import SlimCosts, refuse_costly, slim_costs
from moceir_edge.compress.prune import PruningPlan, apply_pruning, plan_pruning
from moceir_edge.data.dataset import Dataset
from moceir_edge.data.split import Split
from moceir_edge.errors import GateError, PlanError
from moceir_edge.narrowing.apply import narrow_model
from moceir_edge.narrowing.costs import Unit
from moceir_edge.narrowing.measured import Candidate, Measured, measure
from moceir_edge.narrowing.narrow import MULTIPLE
from moceir_edge.narrowing.plan import NarrowingPlan, Width
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.records import Record, Skipped
from moceir_edge.routing.routing import Routing, measure_routing
from moceir_edge.run_folder import RunFolder
from moceir_edge.terms import GateMode, Progress, Task
from moceir_edge.versions import versions

SLIM = "slim.safetensors"


class Slimming(Record):
    """What slimming dropped and saved; reason: why nothing was dropped, and the model goes on as it was given."""

    plan: PruningPlan | None = None
    costs: SlimCosts | None = None
    reason: str = ""


class Narrowing(Record):
    """How a share of the MACs is kept: the plan, all that were tried; reason: why that share is not reached."""

    plan: NarrowingPlan | None = None
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Models:
    """Makes them, in stages of a run; choosing pictures are all it knows."""

    given: LoadedModel
    tasks: tuple[Task, ...]
    choosing: Dataset
    run: RunFolder
    progress: Progress

    def slim(self) -> tuple[LoadedModel, Slimming]:
        """The model given without the experts that its tasks do not need; as it is where it is slim, or needs all."""
        architecture = self.given.architecture
        if architecture.slim or architecture.gate is GateMode.FOLDED or not architecture.guarded:
            return self.given, Slimming(reason="the model is slim already")
        routing = self._routing()
        path = self.run.folder / SLIM

        def action() -> Slimming:
            try:
                plan = plan_pruning(routing, architecture, tasks=self.tasks)
                slim = apply_pruning(self.given, plan)
                costs = slim_costs(self.given, slim)
                refuse_costly(costs)
            except GateError as error:
                return Slimming(reason=error.what)
            save(slim, path)
            return Slimming(plan=plan, costs=costs)

        key = {**self._key, "routing": routing.sha256}
        found = self.run.stage("slim", key, Slimming, action, outputs=lambda made: [SLIM] if made.plan else [])
        if found.plan is None:
            self.run.say(f"not slimmed: {found.reason}")
        return (load(path), found) if found.plan else (self.given, found)

    def _routing(self) -> Routing:
        nothing = self.choosing.only(())

        def action() -> Routing:
            sides = Split(self.choosing, nothing)
            return measure_routing(self.given, sides, versions=versions(), progress=self.progress)

        return self.run.stage("routing", self._key, Routing, action)

    def narrow(self, slim: LoadedModel, shares: tuple[float, ...]) -> tuple[dict[float, LoadedModel], list[Skipped]]:
        """By share of the slim model's MACs; 1 is the slim model itself. Shares that cannot be reached are skipped."""
        narrowings = _Narrowings(slim, self.choosing, self.progress)
        models, skipped = {}, []
        for share in shares:
            if share == 1:
                models[share] = slim
                continue
            found = self._narrowed(narrowings, share)
            if found.plan is None:
                skipped.append(Skipped(what=f"--keep-macs {share:g}", reason=found.reason))
            else:
                models[share] = load(self.run.folder / narrow_file(share))
        return models, skipped

    def _narrowed(self, narrowings: _Narrowings, share: float) -> Narrowing:
        path = self.run.folder / narrow_file(share)
        key = {**self._key, "slim": narrowings.slim.sha256, "share": share, "multiple": MULTIPLE}

        def action() -> Narrowing:
            return narrowings.write(share, path, self.tasks)

        def outputs(made: Narrowing) -> list[str]:
            return [path.name] if made.plan else []

        return self.run.stage(f"narrow-{share:g}", key, Narrowing, action, outputs=outputs)

    @property
    def _key(self) -> dict[str, object]:
        return {
            "versions": versions(),
            "model": self.given.sha256,
            "choosing": self.choosing.sha256,
            "tasks": self.tasks,
        }


def narrow_file(share: float) -> str:
    """Name of a narrow model in the folder of a run."""
    return f"narrow-{share:g}.safetensors"


@dataclass(frozen=True)
class _Narrowings:
    """Narrow models of one: it is measured once, where it is needed at all."""

    slim: LoadedModel
    choosing: Dataset
    progress: Progress

    @cached_property
    def measured(self) -> Measured:
        return measure(self.slim.network, self.choosing, multiple=MULTIPLE, progress=self.progress)

    @cached_property
    def tables(self) -> Mapping[int, Width]:
        return self.measured.tables(Unit.MACS, progress=self.progress)

    def write(self, share: float, path: Path, tasks: tuple[Task, ...]) -> Narrowing:
        """Narrow to a share of the MACs."""
        whole = self.tables[self.slim.architecture.width].costs.whole
        try:
            plans = self.measured.plans(self.tables, unit=Unit.MACS, budget=int(share * whole))
        except PlanError as error:
            return Narrowing(reason=error.what)
        plan, network, candidates = self.measured.best(plans, progress=self.progress)
        save(narrow_model(self.slim, network, plan, choosing=self.choosing, tasks=tasks, path=path), path)
        return Narrowing(plan=plan, candidates=candidates)
