"""Verifying an artifact: a row for each step on the way to it, and the gates over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moceir_edge.artifacts import Artifact, GateResult, OverflowBound, Proof
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.rounding import rounding_of
from moceir_edge.compress.simulation import QuantizedNetwork
from moceir_edge.compress.weight_plan import WEIGHTS_FILE, WeightPlan, with_planned_weights
from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.parity import gates
from moceir_edge.parity.compare import OnPicture, Row, Step, TaskSummary, compare, summarize
from moceir_edge.parity.fit import fit
from moceir_edge.parity.overflow import bound_overflow, largest_size, repeated
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.islands import FLOAT16_LARGEST, with_islands
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Limits, Recipe
from moceir_edge.records import Record
from moceir_edge.runner import Clocked, Gated, Image, NetworkRunner, ProgramRunner, Runner
from moceir_edge.targets.target import recipe_of, target_of
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.terms import GateState, Precision, Progress, TargetName, silent


class Verification(Record):
    """Rows, their summaries and the gates; `unverified` says in sentences what nothing here could show.

    executed_by: what ran the artifact itself, None where nothing did or something stood in for it.
    overflow: what float16 has to hold, on the pictures that placed the islands and on a judging one.
    seconds_per_megapixel: that it took beside the other rows, on a machine that may be busy: `bench` measures.
    """

    rows: tuple[Row, ...]
    summaries: tuple[TaskSummary, ...]
    gates: tuple[GateResult, ...]
    overflow: tuple[OverflowBound, ...] = ()
    unverified: tuple[str, ...] = ()
    executed_by: str | None = None
    seconds_per_megapixel: float | None = None

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if gate.state is GateState.FAILED)


@dataclass(frozen=True)
class Subject:
    """What is verified: the artifact in its folder, and the model it was exported from, where that is at hand.

    slim: whether that model is not the reference itself. threads: of the artifact's runtime.
    """

    artifact: Artifact
    folder: Path
    model: LoadedModel | None = None
    slim: bool = True
    threads: int | None = None

    @property
    def recipe(self) -> Recipe:
        """The recipe the artifact was exported with."""
        return recipe_of(self.artifact)


def verify_artifact(
    subject: Subject,
    judging: Dataset,
    reference: Callable[[Sample], Image],
    *,
    progress: Progress = silent,
    on_picture: OnPicture | None = None,
) -> Verification:
    """Compare every step with the recorded reference on judging pictures, and judge."""
    steps, unverified = steps_of(subject)
    artifact_step = next((step for step in steps if step.name == "artifact"), None)
    clock = None if artifact_step is None or artifact_step.executed_by is None else Clocked(artifact_step.runner)
    if clock is not None:
        steps = tuple(replace(step, runner=clock) if step is artifact_step else step for step in steps)
    size = subject.artifact.fixed_size
    blocks = () if subject.model is None else tuple(block for _, block in subject.model.architecture.routed())
    executed_by = artifact_step.executed_by if artifact_step else None
    rows = compare(
        steps,
        judging,
        reference,
        size=size,
        blocks=blocks,
        rule=subject.artifact.guard,
        progress=progress,
        on_picture=on_picture,
    )
    overflow = _overflow(subject, judging)
    return Verification(
        rows=rows,
        summaries=summarize(rows),
        gates=(*_gates(subject, rows), *_overflow_gates(overflow), *_artifact_gates(subject.artifact)),
        overflow=overflow,
        unverified=(
            *unverified,
            *unproven(subject.artifact, executed=executed_by is not None),
            *_centre_only(subject.artifact),
        ),
        executed_by=executed_by,
        seconds_per_megapixel=clock.seconds_per_megapixel if clock else None,
    )


def steps_of(subject: Subject) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The rows after the reference, and why a row is missing."""
    steps: list[Step] = []
    if subject.model is not None:
        if subject.slim:
            steps.append(Step("slim", "the slim model in PyTorch, float32", NetworkRunner(subject.model.network)))
        steps.extend(_program_steps(subject, subject.model))
    runner, how, executed_by = _artifact_runner(subject)
    if runner is None:
        return tuple(steps), (f"the artifact itself was not run: {how}",)
    if subject.recipe.gates_input:
        if subject.model is None:
            return tuple(steps), ("the artifact takes its gates from the caller, and no model is here to decide them",)
        runner = Gated(runner, NetworkRunner(subject.model.network))
    image = subject.artifact.target is TargetName.COREML and subject.recipe.coreml_options.interface == "image"
    steps.append(Step("artifact", how, runner, in_8_bits=image, against="static", executed_by=executed_by))
    return tuple(steps), _steps_left_out(subject)


def _centre_only(artifact: Artifact) -> tuple[str, ...]:
    if artifact.fixed_size is None:
        return ()
    height, width = artifact.fixed_size
    return (f"pictures were compared in their centre of {width}x{height}, the one size this artifact serves",)


def _steps_left_out(subject: Subject) -> tuple[str, ...]:
    if subject.model is None:
        return ("only the finished artifact was compared: its slim, static and precision steps were not run again",)
    if not subject.slim and subject.model.architecture.slim:
        return ("the reference is the slim model itself: what slimming cost was not measured here",)
    return ()


def _program_steps(subject: Subject, model: LoadedModel) -> list[Step]:
    recipe = subject.recipe
    program = lower(model.network, guard=recipe.guard, gates_input=False)
    prepared = _prepared(subject, program)
    static = Step("static", "operations written out, windows as matrix products, float32 in PyTorch", _run(program))
    match recipe.precision:
        case Precision.FLOAT16:
            how = "emulated: float16 rounding after every operation outside the float32 islands"
            return [static, Step("float16", how, ProgramRunner(StaticNetwork(prepared, half=True)), against="static")]
        case Precision.INT8 | Precision.FP8:
            plan = PrecisionPlan.read(subject.folder / PLAN_FILE)
            rounding, name = rounding_of(recipe), recipe.precision.value
            simulated = QuantizedNetwork(prepared, plan.integer, rounding=rounding, half=recipe.half)
            how = f"simulated: planned convolutions read, weigh and write {name} values"
            if recipe.half:
                how = f"{how}, the rest is rounded to float16 outside the float32 islands"
            return [static, Step(name, how, ProgramRunner(simulated), against="static")]
        case Precision.FLOAT32 | Precision.BFLOAT16:
            changed = prepared is not program
            return (
                [static, Step("lowered", "as this target computes it, float32", _run(prepared))]
                if changed
                else [static]
            )


def _prepared(subject: Subject, program: Program) -> Program:
    """As the artifact computes it, with the islands that artifact.json names and the weights that it stores."""
    prepared = target_of(subject.recipe.target).prepare(program, subject.recipe)
    if subject.artifact.islands:
        prepared = with_islands(prepared, subject.artifact.islands)
    if subject.recipe.plans_weights:
        prepared = with_planned_weights(prepared, WeightPlan.read(subject.folder / WEIGHTS_FILE))
    return prepared


def _run(program: Program) -> Runner:
    return ProgramRunner(StaticNetwork(program))


def _artifact_runner(subject: Subject) -> tuple[Runner | None, str, str | None]:
    """The runner, how it runs the artifact in words, and what executes it (None for a stand-in)."""
    target = target_of(subject.artifact.target)
    found = target.runner(subject.artifact, subject.folder, threads=subject.threads)
    if not isinstance(found, str):
        provider = getattr(found, "provider", "")
        stands_in = getattr(found, "stands_in", "")
        if stands_in:
            return found, f"the same ONNX file by {provider}, in place of what it is for: {stands_in}", None
        return found, f"executed here{f' by {provider}' if provider else ''}", provider or subject.artifact.target
    emulator = target.emulator(subject.artifact, subject.folder)
    if emulator is not None:
        return emulator, f"emulated from the artifact's own files ({found})", None
    return None, found, None


def _gates(subject: Subject, rows: Sequence[Row]) -> tuple[GateResult, ...]:
    names = [row.step for row in rows]
    recipe = subject.recipe
    results: list[GateResult] = []
    if "slim" in names and subject.model is not None:
        architecture = subject.model.architecture
        refusing = sum(len(block.served) < len(block.experts) for _, block in architecture.routed())
        results.extend(gates.slim_gates(rows, gate=architecture.gate, refusing=refusing))
    if "static" in names:
        results.extend(gates.static_gates(rows))
    for step in ("float16", "int8", "fp8"):
        if step in names:
            results.extend(gates.precision_gates(rows, step, recipe.precision, recipe.limits))
    if "lowered" in names:
        limits = recipe.limits if recipe.precision is Precision.FLOAT32 else Limits()
        results.extend(gates.precision_gates(rows, "lowered", Precision.FLOAT32, limits))
    if "artifact" in names:
        results.extend(gates.precision_gates(rows, "artifact", recipe.precision, recipe.limits))
    return tuple(results)


def _artifact_gates(artifact: Artifact) -> tuple[GateResult, ...]:
    results: list[GateResult] = []
    for name in ("parsed", "built", "emulated", "executed"):
        proof: Proof = getattr(artifact.proofs, name)
        if proof.state is GateState.FAILED:
            results.append(gates.judged("artifact", name, 0.0, 1.0, at_least=True, reason=proof.reason))
    share = artifact.counts.integer_share
    if share is not None:
        name = "share of MACs in integer kernels"
        reason = f"counted in {artifact.counts.counted_in}" if artifact.counts.counted_in else ""
        results.append(gates.judged("artifact", name, share, gates.INTEGER_SHARE, at_least=True, reason=reason))
    return tuple(results)


def _overflow(subject: Subject, judging: Dataset) -> tuple[OverflowBound, ...]:
    """What placed the islands, and bounds on the first judging picture, repeated to the recipe's largest size."""
    recipe = subject.recipe
    if not recipe.half or subject.model is None:
        return subject.artifact.overflow
    program = _prepared(subject, lower(subject.model.network, guard=recipe.guard))
    image = repeated(fit(judging.samples[0], None).source, largest_size(recipe))
    return (*subject.artifact.overflow, bound_overflow(program, image, picture="judging picture"))


def _overflow_gates(overflow: Sequence[OverflowBound]) -> tuple[GateResult, ...]:
    """For each size the largest bound, and the worst parity of what was rounded there."""
    results = []
    for size in dict.fromkeys(found.size for found in overflow):
        here, place = [found for found in overflow if found.size == size], f"{size[1]}x{size[0]}"
        most = max(here, key=lambda found: found.bound)
        reason = f"largest in {most.operation}, {most.picture}"
        name = f"float16 bound at {place}"
        results.append(gates.judged("float16", name, most.bound, FLOAT16_LARGEST, at_least=False, reason=reason))
        rounded = [(found.parity_db, found.picture) for found in here if found.parity_db is not None]
        if rounded:
            worst_db, picture = min(rounded)
            name, limit = f"parity on stress pictures at {place}", gates.STRESS_PARITY_DB
            results.append(gates.judged("float16", name, worst_db, limit, unit="dB", at_least=True, reason=picture))
    return tuple(results)


def unproven(artifact: Artifact, *, executed: bool = False) -> tuple[str, ...]:
    """What no proof of the artifact shows, and what is only estimated; executed: whether it was run here since."""
    fields = ("parsed", "built", "emulated", *(() if executed else ("executed",)), "executed_on_device")
    proofs = {name: getattr(artifact.proofs, name) for name in fields}
    not_run = (
        f"not {name.replace('_', ' ')}: {proof.reason}"
        for name, proof in proofs.items()
        if proof.state is GateState.NOT_RUN and proof.reason
    )
    return (*not_run, *(estimate.text for estimate in artifact.estimates))
