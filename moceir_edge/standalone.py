"""The commands that work on single files: each one function, from paths to a frozen result."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from moceir_edge.artifacts import FILE_NAME, read_artifact
from moceir_edge.compress.costs import GuardCost, SlimCosts, guard_cost, refuse_costly, slim_costs
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.prune import COVERAGE, PruningPlan, apply_pruning, check_options, plan_pruning
from moceir_edge.data.dataset import require_readable, require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.data.sides import require_choosing, sides_from_data
from moceir_edge.errors import DataError, InputError, OutputError
from moceir_edge.exporting import Search, Source, require_target, write_artifact
from moceir_edge.network import checkpoint
from moceir_edge.network.checkpoint import load, save
from moceir_edge.outcome import ArtifactOutcome, judged_artifact, outcome_of
from moceir_edge.parity.reference import read_output, record_reference
from moceir_edge.parity.verify import Subject, Verification, verify_artifact
from moceir_edge.processes import is_first_process
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import (
    TEMPORARY,
    Record,
    copy_files,
    refuse_existing,
    refuse_inside,
    replacing_folder,
    scratch_folder,
)
from moceir_edge.routing.routing import Routing, measure_routing
from moceir_edge.run_folder import MARKS, RunFolder
from moceir_edge.runner import threads_of_share, torch_threads
from moceir_edge.sharing import over_processes
from moceir_edge.terms import GateMode, Progress, Task, silent, tasks_from_names
from moceir_edge.versions import versions


class Converted(Record):
    """A file that was written."""

    path: str
    sha256: str


def convert(path: Path, out: Path, *, force: bool = False) -> Converted:
    """Rewrite a model in the layout the suffix of `out` names; see `network.checkpoint.convert`."""
    refuse_existing(out, force=force)
    model = load(path)
    checkpoint.convert(model, out)
    return Converted(path=str(out), sha256=model.sha256)


def observe(
    path: Path,
    data: Path,
    out: Path,
    *,
    calibration: Path | None = None,
    tasks: Sequence[Task] = (),
    relevance: bool = True,
    force: bool = False,
    progress: Progress = silent,
) -> Routing:
    """Write the routing of a model on a data set; without `relevance` it costs one forward for each picture.

    The processes of torchrun or Slurm share the pictures; each returns the whole, and the first one writes it.
    """
    refuse_existing(out, force=force)
    sides = sides_from_data(data, calibration, tasks)
    require_choosing(sides.choosing, tasks or sides.judging.tasks)
    for side in (sides.choosing, sides.judging):
        require_readable(side, progress=progress)
    model = load(path)
    measured = None if relevance else ()
    with torch_threads(threads_of_share()):
        routing = measure_routing(
            model, sides, versions=versions(), relevant=measured, each=over_processes, progress=progress
        )
    if is_first_process():
        routing.write(out)
    return routing


class Slimmed(Record):
    """A slim model that was written, the plan behind it and what it saves."""

    path: str
    sha256: str
    plan: PruningPlan
    costs: SlimCosts
    guard: GuardCost | None


def slim(
    path: Path,
    routing: Path,
    out: Path,
    *,
    tasks: Sequence[Task],
    coverage: float = COVERAGE,
    max_experts: int | None = None,
    gate: GateMode = GateMode.EXACT,
    guard: bool = True,
    allow_none: bool = True,
    force: bool = False,
) -> Slimmed:
    """Remove the experts that the tasks do not use or do not need; GateError where nothing can go."""
    refuse_existing(out, force=force)
    if out.suffix != ".safetensors":
        raise OutputError(f"{out}: a slim model is a .safetensors", "end the name in .safetensors")
    check_options(tasks=tasks, coverage=coverage, max_experts=max_experts, gate=gate, guard=guard)
    model = load(path)
    plan = plan_pruning(
        Routing.read(routing),
        model.architecture,
        tasks=tasks,
        coverage=coverage,
        max_experts=max_experts,
        gate=gate,
        guard=guard,
        allow_none=allow_none,
    )
    slimmed = apply_pruning(model, plan)
    costs = slim_costs(model, slimmed)
    refuse_costly(costs)
    save(slimmed, out)
    return Slimmed(path=str(out), sha256=slimmed.sha256, plan=plan, costs=costs, guard=guard_cost(slimmed))


def export(
    path: Path,
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    calibration: Path | None = None,
    tasks: Sequence[Task] = (),
    plan: Path | None = None,
    force: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[ArtifactOutcome, Verification]:
    """Export a model and judge the artifact against that model; a failed one is written as `<out>.failed`.

    plan: an artifact's precision.json, which then is not searched for. The search for one is kept in `<out>.search` as
    long as it lasts, so that an interrupted one goes on.
    """
    placement = None if plan is None else _read_plan(plan, recipe)
    require_target(recipe)
    for place in (out, out.with_name(f"{out.name}.failed")):
        refuse_existing(place, force=force, mark=FILE_NAME)
        refuse_inside(place, [given for given in (path, data, calibration) if given])
    _require_search(_search_folder(out))
    model = load(path)
    made_for = tuple(tasks) or tasks_from_names(model.provenance.get("tasks", ()))
    sides = sides_from_data(data, calibration, made_for, say=say)
    require_targets(sides.judging)
    if not sides.judging.samples:
        raise DataError(f"{data}: no judging pictures", "give more pictures")
    for side in (sides.choosing, sides.judging):
        require_readable(side, progress=progress)
    source = Source(
        model,
        model,
        made_for or sides.judging.tasks,
        model.provenance.get("routing_sha256"),
        sides.judging.sha256,
        full_sha256=model.provenance.get("pruning", {}).get("model_sha256"),
    )
    with _search(out, recipe, placement, say) as search, scratch_folder() as scratch:
        candidate, recorded = scratch / "artifact", scratch / "reference"
        candidate.mkdir()
        artifact = write_artifact(source, recipe, sides.choosing, candidate, search=search, progress=progress)
        record_reference(model, sides.judging, recorded, size=artifact.fixed_size, progress=progress)
        subject = Subject(artifact, candidate, model, slim=False)
        verification = verify_artifact(subject, sides.judging, partial(read_output, recorded), progress=progress)
        final = out.with_name(f"{out.name}.failed") if verification.failed else out
        judged = judged_artifact(artifact, verification)
        with replacing_folder(final) as temporary:
            copy_files(candidate, temporary)
            judged.write(temporary / FILE_NAME)
    return outcome_of(final.name, final, judged, verification), verification


def _read_plan(path: Path, recipe: Recipe) -> PrecisionPlan:
    if not recipe.precision.in_8_bits:
        raise InputError(f"a precision plan is for int8 or fp8, not {recipe.precision}", "leave --plan out")
    return PrecisionPlan.read(path)


@contextmanager
def _search(out: Path, recipe: Recipe, plan: PrecisionPlan | None, say: Callable[[str], None]) -> Iterator[Search]:
    """How int8 is placed; what was measured lies beside `out` until the block has ended well."""
    if plan is not None or not recipe.precision.in_8_bits:
        yield Search(plan=plan, say=say)
        return
    folder = _search_folder(out)
    run = RunFolder(folder, say=say)
    with run.open(force=False):
        yield Search(run, say=say)
        for path in folder.glob("search-*.json"):
            path.unlink()
        shutil.rmtree(folder / MARKS)
    if not any(folder.iterdir()):
        folder.rmdir()


def _search_folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.search")


def _require_search(folder: Path) -> None:
    """OutputError where the folder is there and holds anything but a search."""
    ours = ("search-", MARKS, TEMPORARY)
    if folder.exists() and not (folder.is_dir() and all(path.name.startswith(ours) for path in folder.iterdir())):
        raise OutputError(f"{folder} exists already and is no search", "rename it, or give another --out")


def verify(
    path: Path,
    reference: Path,
    data: Path,
    *,
    tasks: Sequence[Task] = (),
    threads: int | None = None,
    progress: Progress = silent,
) -> Verification:
    """Judge an artifact against a MODEL on a data set; every picture judges, for nothing is chosen here.

    threads: that compute both; None leaves them to the runtimes.
    """
    artifact = read_artifact(path)
    judging = read_data(data).of(tuple(tasks) or tasks_from_names(artifact.tasks))
    require_targets(judging)
    require_readable(judging, progress=progress)
    model = load(reference)
    if model.sha256 not in (artifact.origin.checkpoint_sha256, artifact.origin.model_sha256):
        raise InputError(f"{reference} is not what {path} was made from", "give the checkpoint it was exported from")
    with torch_threads(threads), scratch_folder() as recorded:
        record_reference(model, judging, recorded, size=artifact.fixed_size, progress=progress)
        subject = Subject(artifact, path, threads=threads)
        return verify_artifact(subject, judging, partial(read_output, recorded), progress=progress)
