"""From a model and a recipe to an artifact: lowered, prepared, calibrated and written by its target, not yet judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moceir_edge.artifacts import FILE_NAME, Artifact, Counts, Golden, Origin, OverflowBound, file_entries
from moceir_edge.compress.crops import HIGHEST_DB, Crop, change_power, restored_crops, telling
from moceir_edge.compress.group_costs import MODELLED, GroupCosts, modelled_costs
from moceir_edge.compress.groups import Group, candidates
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import rounding_of
from moceir_edge.compress.safety import Allowed
from moceir_edge.compress.search import search_plan
from moceir_edge.compress.weight_plan import (
    WEIGHTS_FILE,
    WEIGHTS_SAFETY_DB,
    WeightPlan,
    plan_in_8_bits,
    smallest_plan,
    storage_of,
    with_planned_weights,
)
from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.images import Pixels
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import names_in_turn
from moceir_edge.errors import DataError, GateError, InputError, MissingBackendError
from moceir_edge.guard_calibration import calibrate_guard
from moceir_edge.guarding import GuardRule
from moceir_edge.keeping import Forgetful, Keeper, Within
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.parity.fit import fit
from moceir_edge.parity.gates import in_force
from moceir_edge.parity.overflow import Settled, island_sizes, settle_islands
from moceir_edge.processor import has_vnni
from moceir_edge.program.islands import with_islands
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Limits, Recipe, Size
from moceir_edge.records import Skipped
from moceir_edge.resources import bundled
from moceir_edge.runner import NetworkRunner, centre, pad
from moceir_edge.targets.target import COUNT_SIZE, Exported, Target, interface_of, target_of
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.targets.work_list import WORK_FILE, work_list
from moceir_edge.terms import Precision, Progress, TargetName, Task, silent
from moceir_edge.versions import versions

GOLDEN_SIZE = (128, 128)
"""Size of golden pictures where the artifact serves any."""

SHORTLIST = 3
"""Pictures of which one calibrates: what the model adds to each of them is looked at."""


@dataclass(frozen=True)
class Source:
    """What is exported: the model, the full model it came from, and the hashes of what decided.

    guard: its rule, or why there is none; None where that has not been calibrated yet.
    """

    model: LoadedModel
    full: LoadedModel
    tasks: tuple[Task, ...]
    routing_sha256: str | None = None
    judging_sha256: str | None = None
    full_sha256: str | None = None
    guard: GuardRule | str | None = None

    @property
    def checkpoint_sha256(self) -> str:
        """Hash of the full model, also where only the slim one is at hand."""
        return self.full_sha256 or self.full.sha256


def require_target(recipe: Recipe) -> Target:
    """The recipe's target; MissingBackendError with what to install."""
    target = target_of(recipe.target)
    missing = target.missing()
    if missing is not None:
        problem, _, repair = missing.partition(": ")
        raise MissingBackendError(f"target {recipe.target}: {problem}", repair)
    return target


@dataclass(frozen=True)
class Search:
    """How an int8 plan is found: by measuring, whose parts `keeper` keeps, or given, which measures nothing.

    say: takes what a person should know.
    """

    keeper: Keeper = field(default_factory=Forgetful)
    plan: PrecisionPlan | None = None
    say: Callable[[str], None] = lambda _: None


def write_artifact(
    source: Source,
    recipe: Recipe,
    calibration: Dataset,
    folder: Path,
    *,
    search: Search = Search(),
    progress: Progress = silent,
) -> Artifact:
    """Write an unjudged artifact into an empty folder.

    calibration: choosing pictures; int8 needs some (DataError), float16 takes the first to place islands.
    Errors: MissingBackendError; GateError where int8 is too loud; InputError where the given plan is of another model.
    """
    written = write_model(source.model, recipe, calibration, folder, search=search, progress=progress)
    work_list(written.program, recipe, written.integer).write(folder / WORK_FILE)
    golden = write_golden(source, recipe, folder)
    artifact = describe(source, recipe, written, folder, golden=golden, calibration=calibration)
    artifact = with_guard(artifact, source, recipe, calibration, progress=progress)
    artifact = with_memory(artifact, require_target(recipe), folder)
    artifact.write(folder / FILE_NAME)
    return artifact


@dataclass(frozen=True)
class Written:
    """The program as its target prepared it, what was written, what float16 has to hold, and what is in 8 bits."""

    program: Program
    exported: Exported
    overflow: tuple[OverflowBound, ...] = ()
    integer: frozenset[str] = frozenset()


def write_model(
    model: LoadedModel,
    recipe: Recipe,
    calibration: Dataset,
    folder: Path,
    *,
    search: Search = Search(),
    progress: Progress = silent,
) -> Written:
    """Lower a model and let its target write it into an empty folder.

    calibration and errors: as for `write_artifact`.
    """
    target = require_target(recipe)
    prepared = target.prepare(lower(model.network, guard=recipe.guard, gates_input=recipe.gates_input), recipe)
    crops: tuple[Crop, ...] = ()
    overflow: tuple[OverflowBound, ...] = ()
    integer: frozenset[str] = frozenset()
    if recipe.half:
        settled = settle(model, recipe, calibration, progress=progress)
        prepared, overflow = with_islands(prepared, settled.placed.added), settled.overflow
        if recipe.only_half and prepared.islands:
            what = f"float16 cannot hold {prepared.islands[0]} at this size, and the target has nothing wider"
            raise GateError(what, "set a smaller size")
    match recipe.precision:
        case Precision.INT8 | Precision.FP8:
            crops = calibrate(prepared, calibration, recipe, what=recipe.precision, say=search.say, progress=progress)
            inputs = _search_inputs(model, recipe, calibration)
            kept = replace(search, keeper=Within(search.keeper, "search", inputs))
            plan = plan_of(prepared, crops, recipe, search=kept, progress=progress)
            if plan.model_sha256 not in (None, model.sha256):
                raise InputError("the precision plan is of another model", "give the precision.json of this model")
            plan = plan.model_copy(update={"model_sha256": model.sha256})
            plan.write(folder / PLAN_FILE)
            integer = frozenset(plan.integer)
            for doubt in _doubts(plan, recipe):
                search.say(f"warning: {doubt}")
        case Precision.FLOAT32 | Precision.FLOAT16 | Precision.BFLOAT16:
            pass
    weights = weight_plan_of(prepared, calibration, model, recipe, search=search, progress=progress)
    if weights is not None:
        weights.write(folder / WEIGHTS_FILE)
        for doubt in _doubts_of_weights(weights):
            search.say(f"warning: {doubt}")
        prepared = with_planned_weights(prepared, weights)
    exported = target.export(prepared, recipe, [crop.image for crop in crops], folder)
    if weights is not None:
        exported = exported.model_copy(update={"skipped": (*exported.skipped, *weights.skipped)})
    return Written(prepared, exported, overflow, integer)


def weight_plan_of(
    program: Program,
    calibration: Dataset,
    model: LoadedModel,
    recipe: Recipe,
    *,
    search: Search,
    progress: Progress = silent,
) -> WeightPlan | None:
    """How weights are stored where they are not all floats: in 8 bits, or searched on calibration pictures."""
    if not recipe.plans_weights:
        return None
    storage = storage_of(recipe)
    if recipe.coreml_options.weights == "int8":
        return plan_in_8_bits(program, storage).model_copy(update={"model_sha256": model.sha256})
    crops = calibrate(program, calibration, recipe, what="smallest weights", say=search.say, progress=progress)
    plan = smallest_plan(
        program,
        crops,
        recipe.quantize_options,
        storage,
        allowed=weights_allowed_by(recipe),
        parity_db=in_force(recipe.precision, recipe.limits).parity_db,
        keeper=Within(search.keeper, "weights", _search_inputs(model, recipe, calibration)),
        progress=progress,
    )
    return plan.model_copy(update={"model_sha256": model.sha256})


def _search_inputs(model: LoadedModel, recipe: Recipe, calibration: Dataset) -> dict[str, Any]:
    """What decides a search, as plain data."""
    return {
        "versions": versions(),
        "model": model.sha256,
        "recipe": recipe.model_dump(mode="json", exclude={"limits", "golden"}),
        "calibration": calibration.sha256,
    }


def _doubts(plan: PrecisionPlan, recipe: Recipe) -> Iterator[str]:
    """Why int8 may not be what is wanted here."""
    if plan.cost_share is not None and plan.cost_share >= 1:
        yield f"{recipe.precision} costs {plan.cost_share:.2f} of float32 ({plan.costs}): float32 is faster"
    if plan.simulated.slack_db(allowed_by(recipe.limits)) < 0:
        snr_db, changes = plan.simulated.residual_snr_db, plan.simulated.mean_change_db
        yield (
            f"on calibration crops {recipe.precision} leaves a residual SNR of {snr_db:.1f} dB and changes PSNR by "
            f"{max(changes.values(), default=0.0):.3f} dB in the mean of a task: gates may fail"
        )
    if (
        recipe.target in (TargetName.ONNX, TargetName.OPENVINO)
        and not recipe.quantize_options.reduced_range
        and has_vnni() is False
    ):
        yield "this x86 has no VNNI, so 8-bit weights saturate: set quantize.reduced_range to true"


def _doubts_of_weights(plan: WeightPlan) -> Iterator[str]:
    """Why the smallest weights may not be small, or not good, enough."""
    if plan.simulated is None or plan.slack_db is None or plan.slack_db >= 0:
        return
    snr_db, changes = plan.simulated.residual_snr_db, plan.simulated.mean_change_db
    yield (
        f"on calibration crops the smallest weights leave a residual SNR of {snr_db:.1f} dB and change PSNR by "
        f"{max(changes.values(), default=0.0):.3f} dB in the mean of a task, {-plan.slack_db:.1f} dB more than is "
        "safe: gates may fail"
    )


def settle(model: LoadedModel, recipe: Recipe, calibration: Dataset, *, progress: Progress = silent) -> Settled:
    """Where float16 needs islands, on stress pictures and the first choosing one; without any, on a bundled one.

    Where the artifact takes its gates from the caller, measured with the model's own.
    """
    program = target_of(recipe.target).prepare(lower(model.network, guard=recipe.guard), recipe)
    samples = calibration.samples or read_data(bundled("calibration", "demo")).samples
    return settle_islands(program, samples[0].load().input, island_sizes(recipe), progress=progress)


def with_guard(
    artifact: Artifact, source: Source, recipe: Recipe, calibration: Dataset, *, progress: Progress = silent
) -> Artifact:
    """The artifact with the rule that tells foreign pictures, or with the reason why there is none."""
    rule = source.guard
    if not recipe.guard:
        rule = "the recipe keeps no guard"
    elif rule is None:
        rule = calibrate_guard(source.model, calibration, progress=progress)
    if isinstance(rule, str):
        skipped = (*artifact.skipped, Skipped(what="guard", reason=rule))
        return artifact.model_copy(update={"skipped": skipped})
    return artifact.model_copy(update={"guard": rule})


def with_memory(artifact: Artifact, target: Target, folder: Path) -> Artifact:
    """The artifact with the memory that its runtime takes here, or with the reason why that is not known."""
    found = target.memory(artifact, folder)
    if isinstance(found, str):
        skipped = (*artifact.skipped, Skipped(what="memory per megapixel", reason=found))
        return artifact.model_copy(update={"skipped": skipped})
    update = {"memory_base_mib": found.base_mib, "memory_mib_per_megapixel": found.mib_per_megapixel}
    return artifact.model_copy(update=update)


def calibrate(
    program: Program,
    dataset: Dataset,
    recipe: Recipe,
    *,
    what: str = "int8",
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> tuple[Crop, ...]:
    """Centre crops balanced over the tasks: those that the program changes least and most, and others.

    Of the fixed size where the artifact has one. DataError where there is no picture.
    """
    if not dataset.samples:
        raise DataError(f"{what} needs calibration pictures, and none are left for choosing", "give --calibration DATA")
    if len(dataset.samples) == 1:
        say(f"warning: only {dataset.samples[0].name} calibrates {what}; one picture tells little of others")
    options = recipe.quantize_options
    size, small = recipe.fixed_size or (options.crop, options.crop), (options.crop, options.crop)
    of_a_task = max(1, options.pictures // len(dataset.tasks))

    def crop(sample: Sample, size: Size) -> Crop:
        def cut(pixels: Pixels) -> NDArray[np.float32]:
            return pad(centre(pixels, size), size)[None]

        pair = sample.load()
        return Crop(cut(pair.input), None if pair.target is None else cut(pair.target), sample.task)

    by_name = {sample.name: sample for sample in dataset.samples}
    chosen: list[Sample] = []
    for task in dataset.tasks:
        listed = [by_name[name] for name in names_in_turn(dataset, task)[: SHORTLIST * of_a_task]]
        looked = [crop(sample, small) for sample in listed]
        restored = restored_crops(program, progress(looked, f"choosing calibration pictures of {task}"))
        chosen += [listed[number] for number in telling(list(map(change_power, looked, restored)), of_a_task)]
    return tuple(crop(sample, size) for sample in chosen)


def plan_of(
    program: Program, crops: Sequence[Crop], recipe: Recipe, *, search: Search, progress: Progress = silent
) -> PrecisionPlan:
    """Which convolutions run in int8: as given, or searched with noise and costs measured here."""
    if search.plan is not None:
        _require_fitting(search.plan, program, recipe)
        return search.plan
    size = recipe.fixed_size or COUNT_SIZE

    def measure(groups: Sequence[Group], ranges: Mapping[str, Ranges]) -> GroupCosts:
        timer = target_of(recipe.target).timer(recipe)
        if not isinstance(timer, str):
            timed = timer(program, groups, ranges, progress)
            if timed.busy:
                search.say(f"warning: {timed.busy} while groups were timed: what is fastest here may be another plan")
            return timed
        modelled = modelled_costs(program, groups, size=size)
        return modelled.model_copy(update={"what": f"{MODELLED}: {timer}"})

    return search_plan(
        program,
        crops,
        recipe.quantize_options,
        measure,
        allowed=allowed_by(recipe.limits),
        size=size,
        keeper=search.keeper,
        rounding=rounding_of(recipe),
        progress=progress,
    )


def _require_fitting(plan: PrecisionPlan, program: Program, recipe: Recipe) -> None:
    """InputError where a given plan is of another model, or has in integers what the recipe keeps in float."""
    unknown = sorted(plan.integer.keys() - {op.name for op in candidates(program)})
    if unknown or not plan.integer:
        what = f"this model has no convolution {unknown[0]}" if unknown else "nothing is in integers there"
        raise InputError(f"the precision plan does not fit: {what}", "give the precision.json of this model")
    patterns = recipe.quantize_options.keep_float
    kept = sorted(name for name in plan.integer if any(re.search(pattern, name) for pattern in patterns))
    if kept:
        what = f"{kept[0]} is in integers there, and the recipe keeps it in float (quantize.keep_float)"
        raise InputError(f"the precision plan does not fit: {what}", "search again without --plan")


def allowed_by(limits: Limits) -> Allowed:
    """What the gates of int8 allow."""
    _, snr, mean, worst = in_force(Precision.INT8, limits)
    assert snr is not None
    assert worst is not None
    return Allowed(residual_snr_db=snr, mean_loss_db=mean, worst_loss_db=worst)


def weights_allowed_by(recipe: Recipe) -> Allowed:
    """What the gates of a recipe's precision allow to weights."""
    _, snr, mean, worst = in_force(recipe.precision, recipe.limits)
    assert snr is not None
    worst_db = HIGHEST_DB if worst is None else worst
    return Allowed(residual_snr_db=snr, mean_loss_db=mean, worst_loss_db=worst_db, safety_db=WEIGHTS_SAFETY_DB)


def write_golden(source: Source, recipe: Recipe, folder: Path) -> tuple[Golden, ...]:
    """A few bundled public-domain pictures, degraded for the tasks, with what the full model makes of them."""
    size: Size = recipe.fixed_size or GOLDEN_SIZE
    pictures = read_data(bundled("calibration", "demo"))
    wanted = [sample for sample in pictures.samples if sample.task in source.tasks] or list(pictures.samples)
    runner, golden = NetworkRunner(source.full.network), []
    (folder / "golden").mkdir()
    for number, sample in enumerate(wanted[: recipe.golden]):
        pixels = np.round(fit(sample, size).image * 255).astype(np.uint8)
        restored = runner.run(pixels.astype(np.float32) / np.float32(255)).restored
        names = (f"golden/{number}.input.npy", f"golden/{number}.reference.npy")
        np.save(folder / names[0], pixels[None])
        np.save(folder / names[1], restored[None])
        golden.append(Golden(name=sample.name, task=sample.task, input=names[0], reference=names[1]))
    return tuple(golden)


def describe(
    source: Source,
    recipe: Recipe,
    written: Written,
    folder: Path,
    *,
    golden: Sequence[Golden],
    calibration: Dataset,
) -> Artifact:
    """Everything artifact.json says before the gates have spoken."""
    files, exported = file_entries(folder), written.exported
    size = recipe.fixed_size or COUNT_SIZE
    used = (recipe.precision is Precision.FLOAT16 or recipe.precision.in_8_bits) and bool(calibration.samples)
    model_bytes = sum(
        entry.size_bytes
        for name, entry in files.items()
        if name == exported.model or name.startswith(f"{exported.model}/")
    )
    return Artifact(
        target=recipe.target,
        precision=recipe.precision,
        tasks=tuple(source.tasks),
        model=exported.model,
        interface=interface_of(written.program, recipe),
        files=files,
        origin=Origin(
            checkpoint_sha256=source.checkpoint_sha256,
            model_sha256=source.model.sha256,
            routing_sha256=source.routing_sha256,
            calibration_sha256=calibration.sha256 if used else None,
            judging_sha256=source.judging_sha256,
        ),
        recipe=recipe.model_dump(mode="json"),
        versions={**versions(), **exported.versions},
        counts=Counts(
            parameters=source.model.parameters,
            size_bytes=model_bytes,
            macs=macs(written.program, *size),
            size=size,
            integer_share=exported.integer_share,
            counted_in="" if exported.integer_share is None else exported.counted_in,
        ),
        proofs=exported.proofs,
        islands=exported.islands,
        largest=exported.largest,
        overflow=written.overflow,
        skipped=exported.skipped,
        estimates=exported.estimates,
        golden=tuple(golden),
    )
