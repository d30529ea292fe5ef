"""The order of the stages: load, split, observe, slim, guard, reference, export, verify, report; known here alone."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from moceir_edge import processor
from moceir_edge.artifacts import FILE_NAME, Artifact, artifact_sha256, read_artifact
from moceir_edge.compress.costs import guard_cost, refuse_costly, slim_costs
from moceir_edge.compress.prune import apply_pruning, check_options, plan_pruning
from moceir_edge.data.dataset import Dataset, require_readable, require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.data.sides import require_choosing
from moceir_edge.data.split import Split, refuse_overlap, split, subset
from moceir_edge.errors import RecipeError
from moceir_edge.exporting import Search, Source, require_target, write_artifact
from moceir_edge.guard_calibration import GuardFacts, calibrate_guard, judge_guard, tried
from moceir_edge.keeping import Within
from moceir_edge.network.architecture import size_name
from moceir_edge.network.checkpoint import LoadedModel, load, save
from moceir_edge.outcome import ArtifactOutcome, judged_artifact, outcome_of
from moceir_edge.parity.fit import Size
from moceir_edge.parity.reference import Reference, read_output, record_reference
from moceir_edge.parity.verify import Subject, Verification, verify_artifact
from moceir_edge.recipe.read import read_recipe
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record, copy_files, refuse_inside, replacing_folder, sha256_of_path
from moceir_edge.reporting.facts import DataFacts, ModelFacts, SlimFacts
from moceir_edge.resources import find_resource
from moceir_edge.routing.evidence import evidence_bound
from moceir_edge.routing.routing import Routing, measure_routing
from moceir_edge.run_folder import RunFolder
from moceir_edge.terms import GateMode, Progress, TargetName, Task, silent
from moceir_edge.versions import versions

OTHER_TASKS = 4
"""Pictures of each other task that are observed, to see how tasks differ."""

SLIM_FILE = "slim.safetensors"

RESERVED = frozenset({"stages", "candidates", "reference"})
"""Folders of a run that no artifact may be called."""


@dataclass(frozen=True)
class PipelineRequest:
    """What a pipeline is asked for; recipes by the name their artifact gets."""

    checkpoint: Path
    tasks: tuple[Task, ...]
    recipes: Mapping[str, Recipe]
    data: Path
    out: Path
    calibration: Path | None = None
    coverage: float = 0.99
    max_experts: int | None = None
    gate: GateMode = GateMode.EXACT
    guard: bool = True

    @property
    def pruning(self) -> dict[str, Any]:
        """What `plan_pruning` is asked for."""
        names = ("tasks", "coverage", "max_experts", "gate", "guard")
        return {name: getattr(self, name) for name in names}


class PipelineResult(Record):
    """What a pipeline left behind."""

    out: str
    artifacts: tuple[ArtifactOutcome, ...]
    stages_run: tuple[str, ...]
    stages_reused: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Texts of the gates that failed."""
        return tuple(text for artifact in self.artifacts for text in artifact.failed_gates)


def read_sides(data: Path, calibration: Path | None, tasks: Sequence[Task]) -> Split:
    """Choosing and judging pictures: from two sources, or one split by file hash.

    DataError where the tasks have no judging pictures, a judging picture has no target, or sides share a picture.
    """
    if calibration is None:
        sides = split(read_data(data))
    else:
        sides = Split(choosing=read_data(calibration), judging=read_data(data))
        refuse_overlap(sides.choosing, sides.judging)
    require_targets(sides.judging.of(tasks))
    require_choosing(sides.choosing, tasks)
    return sides


def pipeline(
    request: PipelineRequest,
    *,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> PipelineResult:
    """From a checkpoint to verified artifacts and a report; a killed run continues where it stopped.

    A failed gate leaves `<name>.failed` and is part of the result; nothing is raised for it here.
    """
    for recipe in request.recipes.values():
        require_target(recipe)
    check_options(**request.pruning)
    refuse_inside(request.out, [path for path in (request.checkpoint, request.data, request.calibration) if path])
    run = RunFolder(request.out, say=say)
    run.check()
    sides = read_sides(request.data, request.calibration, request.tasks)
    full = load(request.checkpoint)
    steps = _Pipeline(request, run, full, sides, progress)
    for side in (steps.observed(sides.choosing), tried(sides.judging, request.tasks)):
        require_readable(side, progress=progress)
    with run.open(force=force):
        return steps.result()


class _Pipeline:
    def __init__(
        self, request: PipelineRequest, run: RunFolder, full: LoadedModel, sides: Split, progress: Progress
    ) -> None:
        self.request, self.run, self.full, self.sides, self.progress = request, run, full, sides, progress
        self.judging = sides.judging.of(request.tasks)
        self.choosing = sides.choosing.of(request.tasks)
        self.base = {"versions": versions(), "model": full.sha256}

    def result(self) -> PipelineResult:
        self.run.stage("model", self.base, ModelFacts, self.model_facts)
        self.run.stage("data", {**self.base, **self.data_key()}, DataFacts, self.data_facts)
        routing = self.routing()
        slim, facts = self.slim(routing)
        guard = self.guard(slim)
        outcomes = [self.artifact(name, recipe, slim, facts, guard) for name, recipe in self.request.recipes.items()]
        result = PipelineResult(
            out=str(self.request.out),
            artifacts=tuple(outcomes),
            stages_run=tuple(self.run.ran),
            stages_reused=tuple(self.run.reused),
        )
        result.write(self.request.out / "result.json")
        self.report()
        return result

    def report(self) -> None:
        """The page; it is cheap, so it is made anew each time."""
        from moceir_edge.reporting.build import report

        self.run.say("report: running")
        report(self.request.out)

    def data_key(self) -> dict[str, Any]:
        return {"choosing": self.sides.choosing.sha256, "judging": self.sides.judging.sha256}

    def model_facts(self) -> ModelFacts:
        experts = sum(p.numel() for n, p in self.full.network.named_parameters() if ".adapter.experts." in n)
        return ModelFacts(
            origin=self.full.origin,
            name=size_name(self.full.architecture),
            sha256=self.full.sha256,
            parameters=self.full.parameters,
            expert_parameters=experts,
            layers=self.full.architecture.layers,
        )

    def data_facts(self) -> DataFacts:
        choosing, judging = self.sides.choosing, self.sides.judging
        skipped = {*choosing.skipped, *judging.skipped}
        return DataFacts(
            choosing_sha256=choosing.sha256,
            judging_sha256=judging.sha256,
            choosing=tuple(sample.name for sample in choosing.samples),
            judging=tuple(sample.name for sample in judging.samples),
            skipped=tuple(sorted(f"{item.what}: {item.reason}" for item in skipped)),
        )

    def observed(self, side: Dataset) -> Dataset:
        """All pictures of the tasks asked for, and a few of every other one."""
        others = [task for task in side.tasks if task not in self.request.tasks]
        names = {sample.name for sample in side.of(self.request.tasks).samples}
        if others:
            names |= {sample.name for sample in subset(side.of(others), OTHER_TASKS).samples}
        return side.only(sample for sample in side.samples if sample.name in names)

    def routing(self) -> Routing:
        sides = Split(self.observed(self.sides.choosing), self.observed(self.sides.judging))
        action = partial(
            measure_routing,
            self.full,
            sides,
            versions=versions(),
            relevant=self.request.tasks,
            progress=self.progress,
        )
        key = {
            **self.base,
            "choosing": sides.choosing.sha256,
            "judging": sides.judging.sha256,
            "relevant": self.request.tasks,
        }
        return self.run.stage("routing", key, Routing, action)

    def slim(self, routing: Routing) -> tuple[LoadedModel, SlimFacts]:
        path, options = self.request.out / SLIM_FILE, self.request.pruning

        def action() -> SlimFacts:
            plan = plan_pruning(routing, self.full.architecture, **options)
            slim = apply_pruning(self.full, plan)
            costs = slim_costs(self.full, slim)
            refuse_costly(costs)
            save(slim, path)
            bound = evidence_bound(routing.judging, self.request.tasks, plan.served)
            return SlimFacts(plan=plan, model_sha256=slim.sha256, costs=costs, guard=guard_cost(slim), bound=bound)

        key = {**self.base, "routing": routing.sha256, **options}
        facts = self.run.stage("slim", key, SlimFacts, action, outputs=lambda _: [SLIM_FILE])
        return load(path), facts

    def guard(self, slim: LoadedModel) -> GuardFacts:
        """The rule of choosing pictures, on judging pictures of all tasks."""
        tasks, judging = self.request.tasks, tried(self.sides.judging, self.request.tasks)
        key = {**self.base, "slim": slim.sha256, "choosing": self.choosing.sha256, "judging": judging.sha256}

        def action() -> GuardFacts:
            rule = calibrate_guard(slim, self.choosing, progress=self.progress)
            return judge_guard(slim, rule, judging, tasks, progress=self.progress)

        return self.run.stage("guard", key, GuardFacts, action)

    def reference(self, size: Size | None) -> Path:
        name = "reference" if size is None else f"reference-{size[1]}x{size[0]}"
        folder = self.request.out / name
        key = {**self.base, "judging": self.judging.sha256, "size": size}

        def action() -> Reference:
            return record_reference(self.full, self.judging, folder, size=size, progress=self.progress)

        mark = folder / "key"
        if folder.exists() and (not mark.exists() or mark.read_text() != str(key)):
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        mark.write_text(str(key))
        self.run.stage(name, key, Reference, action, outputs=lambda _: [name])
        return folder

    def artifact(
        self, name: str, recipe: Recipe, slim: LoadedModel, facts: SlimFacts, guard: GuardFacts
    ) -> ArtifactOutcome:
        source = Source(
            slim,
            self.full,
            self.request.tasks,
            facts.plan.routing_sha256,
            judging_sha256=self.judging.sha256,
            guard=guard.rule or guard.reason,
        )
        candidate = self.export(name, recipe, source)
        reference = self.reference(recipe.fixed_size)
        return self.verify(name, candidate, slim, reference)

    def export(self, name: str, recipe: Recipe, source: Source) -> Path:
        folder = self.request.out / "candidates" / name
        key = {
            **self.base,
            "slim": source.model.sha256,
            "recipe": recipe.model_dump(mode="json"),
            "choosing": self.choosing.sha256,
            "judging": self.judging.sha256,
            "machine": _asked_of_the_machine(recipe),
        }

        def action() -> Artifact:
            with replacing_folder(folder) as temporary:
                search = Search(Within(self.run, name, {}), say=self.run.say)
                return write_artifact(source, recipe, self.choosing, temporary, search=search, progress=self.progress)

        stage = f"export-{name}"
        self.run.stage(stage, key, Artifact, action, outputs=lambda _: [f"candidates/{name}"])
        return folder

    def verify(self, name: str, candidate: Path, slim: LoadedModel, reference: Path) -> ArtifactOutcome:
        from moceir_edge.reporting.pictures import PictureWriter

        out = self.request.out
        artifact = read_artifact(candidate)
        machine = [platform.machine(), platform.system(), processor.has_vnni(), processor.has_bfloat16(), _gpu()]
        key = {
            **self.base,
            "candidate": artifact_sha256(candidate),
            "reference": sha256_of_path(reference),
            "machine": machine,
        }
        pictures = f"pictures-{name}"

        def action() -> Verification:
            with replacing_folder(out / pictures) as temporary:
                writer = PictureWriter(temporary)
                return verify_artifact(
                    Subject(artifact, candidate, slim),
                    self.judging,
                    partial(read_output, reference),
                    progress=self.progress,
                    on_picture=writer.add,
                )

        stage = f"verify-{name}"
        verification = self.run.stage(stage, key, Verification, action, outputs=lambda _: [pictures])
        return self.promote(name, candidate, artifact, verification)

    def promote(self, name: str, candidate: Path, artifact: Artifact, verification: Verification) -> ArtifactOutcome:
        """Give the artifact its final name, with its gates, or the name `.failed`."""
        failed = bool(verification.failed)
        final, other = self.request.out / name, self.request.out / f"{name}.failed"
        folder, stale = (other, final) if failed else (final, other)
        judged = judged_artifact(artifact, verification)
        with replacing_folder(folder) as temporary:
            copy_files(candidate, temporary)
            judged.write(temporary / FILE_NAME)
        if stale.exists():
            shutil.rmtree(stale)
        return outcome_of(name, folder, judged, verification)


def named_recipes(names: Sequence[str]) -> dict[str, Recipe]:
    """Recipes by file stem; a path, or the name of a bundled one."""
    paths = [find_resource("export", name) for name in names]
    stems = [path.stem.lower() for path in paths]
    for path, stem in zip(paths, stems, strict=True):
        if stems.count(stem) > 1 or stem in RESERVED or stem.endswith(".failed") or stem.startswith("pictures-"):
            raise RecipeError(f"{path}: an artifact cannot be called {path.stem} here", "rename the recipe")
    return {path.stem: read_recipe(path) for path in paths}


def _asked_of_the_machine(recipe: Recipe) -> dict[str, str | int | bool | None] | None:
    """What an export depends on beside its inputs: what this processor is fast at, or has at all, and whether the
    vendor's own compiler and runtime are here.
    """
    asked: dict[str, str | int | bool | None] = {}
    if recipe.precision.in_8_bits or recipe.target is TargetName.OPENVINO:
        asked |= processor.identity()
    if recipe.target in (TargetName.TENSORRT, TargetName.COREML):
        asked |= {"system": platform.system(), "gpu": _gpu()}
    return asked or None


def _gpu() -> str | None:
    """Its name, None where there is none."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
