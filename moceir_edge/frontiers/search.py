"""The stage: every share of the MACs in every precision, what each point takes and loses, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from moceir_edge import processor
from moceir_edge.data.split import Split
from moceir_edge.device_profile import profile_name
from moceir_edge.errors import InputError
from moceir_edge.frontiers.bounding import Bounds, bounds_of
from moceir_edge.frontiers.building import Builder, Built
from moceir_edge.frontiers.choosing import Measures, beaten, pick, refusal
from moceir_edge.frontiers.collecting import MeasuredPoint, point_of
from moceir_edge.frontiers.losses import loss_between
from moceir_edge.frontiers.measuring import ROUNDS, Measuring, latencies_ms
from moceir_edge.frontiers.models import Models, Slimming
from moceir_edge.frontiers.request import SIZE, FrontierRequest, recipes_of, shares_of
from moceir_edge.frontiers.result import Frontier
from moceir_edge.frontiers.writing import write_frontier
from moceir_edge.narrowing.given import sides_for, tasks_for
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped, refuse_inside
from moceir_edge.run_folder import RunFolder
from moceir_edge.runner import torch_threads
from moceir_edge.terms import Progress, Task, silent
from moceir_edge.versions import versions


def frontier(
    request: FrontierRequest,
    *,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> Frontier:
    """Measure every point and pick one, where a ceiling asks for it; a killed run goes on where it stopped.

    What cannot be reached or run here is in the result with its reason. Judging pictures are looked at after the
    choice. Errors: PlanError where no point is within the ceiling, after the result was written; InputError and its
    kinds.
    """
    shares = shares_of(request)
    recipes, skipped = recipes_of(request)
    run = RunFolder(request.out, say=say, kind="frontier")
    run.check()
    refuse_inside(request.out, request.inputs)
    with torch_threads(request.threads):
        model = load(request.model)
        tasks = tasks_for(model, request.tasks)
        sides = sides_for(request.data, request.calibration, tasks, progress=progress, say=say)
        with run.open(force=force):
            return _Frontier(request, model, tasks, sides, run, progress).result(shares, recipes, skipped)


@dataclass(frozen=True)
class _Frontier:
    request: FrontierRequest
    given: LoadedModel
    tasks: tuple[Task, ...]
    sides: Split
    run: RunFolder
    progress: Progress

    def result(
        self, shares: tuple[float, ...], recipes: Mapping[str, Recipe], skipped: tuple[Skipped, ...]
    ) -> Frontier:
        models = Models(self.given, self.tasks, self.sides.choosing, self.run, self.progress)
        slim, slimming = models.slim()
        narrow, unreached = models.narrow(slim, shares)
        built, unbuilt = Builder(self.tasks, self.sides.choosing, self.run, self.progress).build(narrow, recipes)
        left_out = (*skipped, *unreached, *unbuilt)
        if not built:
            raise InputError(
                f"no point can be had here ({'; '.join(f'{item.what}: {item.reason}' for item in left_out)})",
                "ask for another --keep-macs or --recipe",
            )
        bounds = bounds_of(built, self.request.device)
        built, left_out = [point for point in built if point.name in bounds.by_point], (*left_out, *bounds.skipped)
        measuring = Measuring(built[0], self.sides.choosing, self.run, self.request.threads, self.progress)
        found = self.chosen_from(self.measured(measuring, built, bounds), slimming, left_out, bounds.assumed)
        found = self.judged(measuring, built, found)
        write_frontier(found, built, self.request.out)
        if found.ceiling is not None and found.picked is None:
            raise refusal({point.name: point.compared for point in found.points}, found.ceiling)
        return found

    def measured(self, measuring: Measuring, built: Sequence[Built], bounds: Bounds) -> list[MeasuredPoint]:
        """Every point on choosing pictures; judging ones play no part."""
        choosing = self.sides.choosing
        given = measuring.given_quality(self.given, choosing, "choosing")
        timed = [measuring.timed(point) for point in built]
        found = []
        for point, times, latency_ms in zip(built, timed, latencies_ms(timed), strict=True):
            loss = loss_between(given, measuring.quality(point, choosing, "choosing"))
            memory = point.artifact.memory
            measures = Measures(
                latency_ms=latency_ms,
                size_mib=point.artifact.counts.size_bytes / 2**20,
                memory_mib=None if memory is None else memory.needed_mib(*SIZE),
                loss_db=loss.loss_db,
            )
            found.append(MeasuredPoint(point, times, measures, loss, bounds.by_point[point.name]))
        return found

    def chosen_from(
        self,
        found: Sequence[MeasuredPoint],
        slimming: Slimming,
        skipped: tuple[Skipped, ...],
        assumed: tuple[str, ...],
    ) -> Frontier:
        """The choice, as a result in which nothing is judged yet."""
        measures = {one.built.name: one.measures.on_device(one.bound_ms) for one in found}
        worse, ceiling = beaten(measures), self.request.limit
        busy = tuple(f"{one.timed.busy} while {one.built.name} was timed" for one in found if one.timed.busy)
        best = [name for name in measures if name not in worse]
        return Frontier(
            model=str(self.request.model),
            model_sha256=self.given.sha256,
            tasks=self.tasks,
            size=SIZE,
            choosing_sha256=self.sides.choosing.sha256,
            judging_sha256=self.sides.judging.sha256,
            slimming=slimming,
            threads=self.request.threads,
            rounds=ROUNDS,
            points=tuple(point_of(one, worse.get(one.built.name)) for one in found),
            frontier=tuple(sorted(best, key=lambda name: measures[name].latency_ms)),
            ceiling=ceiling,
            picked=None if ceiling is None else pick(measures, ceiling),
            skipped=skipped,
            warnings=(*busy, *(f"assumed: {text}" for text in assumed)),
            device=None if self.request.device is None else profile_name(self.request.device),
            machine=processor.identity(),
            versions=versions(),
            stages_run=(),
            stages_reused=(),
        )

    def judged(self, measuring: Measuring, built: Sequence[Built], found: Frontier) -> Frontier:
        """The same, with what the frontier and the pick lose on pictures that chose nothing."""
        judging = self.sides.judging
        given = measuring.given_quality(self.given, judging, "judging")
        wanted = {*found.frontier, found.picked}
        losses = {
            one.name: loss_between(given, measuring.quality(one, judging, "judging"))
            for one in built
            if one.name in wanted
        }
        points = tuple(point.model_copy(update={"judged": losses.get(point.name)}) for point in found.points)
        stages = {"stages_run": tuple(self.run.ran), "stages_reused": tuple(self.run.reused)}
        return found.model_copy(update={"points": points, **stages})
