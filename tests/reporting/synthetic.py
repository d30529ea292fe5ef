"""A small run folder made of Records, with every kind of trouble a report has to show; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from moceir_edge.artifacts import (
    Artifact,
    Counts,
    FileEntry,
    GateResult,
    Interface,
    Origin,
    OverflowBound,
    Proof,
    Proofs,
    Tensor,
)
from moceir_edge.compress.costs import GuardCost, SlimCosts
from moceir_edge.compress.groups import Choice
from moceir_edge.compress.layer_choice import LayerPlan
from moceir_edge.compress.placement import Option, Placed
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.prune import PruningPlan
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.safety import Simulated
from moceir_edge.compress.stored_weights import Storage, Stored
from moceir_edge.compress.weight_plan import WeightPlan
from moceir_edge.guard_calibration import GuardFacts, Judged, by_task
from moceir_edge.guarding import GuardRule
from moceir_edge.parity.compare import PictureScore, Row, summarize
from moceir_edge.parity.gates import judged
from moceir_edge.parity.reference import Reference
from moceir_edge.parity.verify import Verification
from moceir_edge.records import Skipped
from moceir_edge.reporting.facts import DataFacts, ModelFacts, SlimFacts
from moceir_edge.routing.evidence import evidence_bound, gather_evidence
from moceir_edge.routing.noise import Noise, TaskNoise
from moceir_edge.routing.observe import Observation, Observed
from moceir_edge.routing.relevance import EVERYWHERE, Change, LayerRelevance, Relevance
from moceir_edge.routing.routing import Routing
from moceir_edge.targets.coreml_units import ESTIMATE, RULES, ComputeUnits, Leaving, Unit
from moceir_edge.terms import GateMode, GateState, Precision, TargetName, Task

LAYERS = ("dec.0", "dec.1")
HOSTILE = "derain_light/<script>alert(1)&'\""
NAMES = (HOSTILE, "derain_light/b", "derain_heavy/c", "dehaze/d")
SIZE = (256, 256)
IMAGE = Tensor(name="image", shape=(1, 3, "height", "width"), meaning="picture")


def write_run(folder: Path) -> Path:
    """A whole run with two recipes: desktop (int8) failed, phone (float16) was not run."""
    facts, routing = model_facts(), observed_routing()
    slim = slim_facts(routing)
    facts.write(folder / "model.json")
    data_facts().write(folder / "data.json")
    routing.write(folder / "routing.json")
    slim.write(folder / "slim.json")
    guard_facts().write(folder / "guard.json")
    reference().write(folder / "reference.json")
    for name, precision in (("desktop", Precision.INT8), ("phone", Precision.FLOAT16)):
        write_recipe(folder, name, precision, slim)
    return folder


def write_recipe(folder: Path, name: str, precision: Precision, slim: SlimFacts) -> None:
    """Export, verification, final folder and pictures of a recipe."""
    exported, verified = artifact(precision, slim), verification(precision)
    exported.write(folder / f"export-{name}.json")
    verified.write(folder / f"verify-{name}.json")
    final = folder / (f"{name}.failed" if verified.failed else name)
    exported.model_copy(update={"gates": verified.gates}).write(final / "artifact.json")
    if precision is Precision.INT8:
        precision_plan().write(final / "precision.json")
    else:
        weight_plan().write(final / "weights.json")
        compute_units().write(final / "compute_units.json")
    write_pictures(folder / f"pictures-{name}")


def model_facts() -> ModelFacts:
    """A tiny model from a folder that a report must not name."""
    return ModelFacts(
        origin="/home/somebody/secret/last.ckpt",
        name="tiny",
        sha256="a" * 64,
        parameters=1283176,
        expert_parameters=158870,
        layers=LAYERS,
    )


def data_facts() -> DataFacts:
    """Two pictures choose, four judge, one folder was skipped."""
    return DataFacts(
        choosing_sha256="b" * 64,
        judging_sha256="c" * 64,
        choosing=("derain_light/x", "dehaze/y"),
        judging=NAMES,
        skipped=("<b>snapshots</b>: a folder of no task",),
    )


def picture(name: str, task: Task, *choices: int) -> Observed:
    """A picture whose first choices are given, of three experts."""
    rows = tuple(tuple(0.34 if index == choice else 0.33 for index in range(3)) for choice in choices)
    return Observed(
        name=name,
        task=task,
        set_name=name.split("/", maxsplit=1)[0],
        digest="00",
        routes=choices,
        gates=(0.34,) * 2,
        margins=(0.01,) * 2,
        scores=rows,
    )


def observed_routing() -> Routing:
    """Rain is idle in every layer, haze matters."""
    choosing = (picture("derain_light/x", Task.DERAIN, 0, 1), picture("dehaze/y", Task.DEHAZE, 0, 2))
    judging = tuple(picture(name, Task.DEHAZE if "dehaze" in name else Task.DERAIN, 0, 1) for name in NAMES)
    seen = Observation(layers=LAYERS, experts=3, pictures=choosing)
    return Routing(
        model_sha256="a" * 64,
        choosing_sha256="b" * 64,
        judging_sha256="c" * 64,
        choosing=seen,
        judging=Observation(layers=LAYERS, experts=3, pictures=judging),
        evidence=gather_evidence(seen),
        relevance=relevance(),
        noise=Noise(draws=4, seed=0, crop=256, per_task=4, pictures=("derain_light/x", "dehaze/y"), tasks=noises()),
        versions={"torch": "2.9"},
    )


def noises() -> tuple[TaskNoise, ...]:
    """One task with targets, one without."""
    measured = {"clean_db": 25.123456, "mean_db": 25.0, "std_db": 0.01234, "min_db": 24.9, "max_db": 25.1}
    return (
        TaskNoise(task=Task.DERAIN, routes_changed=0.575, n=1, **measured),
        TaskNoise(task=Task.DEHAZE, routes_changed=0.4, n=0, **dict.fromkeys(measured)),
    )


def relevance() -> Relevance:
    """Changes below a thousandth for rain, of half a dB for haze."""
    rows = tuple(
        LayerRelevance(task=task, layer=layer, changes=changes(scale))
        for task, scale in ((Task.DERAIN, -1e-4), (Task.DEHAZE, -0.5))
        for layer in (*LAYERS, EVERYWHERE)
    )
    return Relevance(crop=256, per_task=4, pictures=("derain_light/x", "dehaze/y"), layers=rows)


def changes(scale: float) -> tuple[Change, ...]:
    """Replacement by expert 1 and by none."""
    return tuple(
        Change(replacement=index, n=1, mean_db=scale * factor, worst_db=2 * scale * factor, parity_db=90.0 - factor)
        for index, factor in ((1, 1.0), (None, 1.3))
    )


def slim_facts(routing: Routing) -> SlimFacts:
    """A plan that lets the shortcut stand for all experts of all layers."""
    layers = tuple(
        LayerPlan(
            layer=layer,
            kept=(),
            served=(0, 1, 2),
            coverage=1.0,
            counts={Task.DERAIN: (1, 0, 0)},
            reason="no expert: the shortcut alone changes the PSNR by -0.0001 dB",
        )
        for layer in LAYERS
    )
    plan = PruningPlan(
        tasks=(Task.DERAIN,),
        gate=GateMode.EXACT,
        guard=True,
        coverage=0.99,
        max_experts=None,
        n={Task.DERAIN: 1},
        layers=layers,
        without_experts_db={Task.DERAIN: -1.3e-4},
        model_sha256="a" * 64,
        routing_sha256=routing.sha256,
    )
    costs = SlimCosts(
        parameters=1124306,
        full_parameters=1283176,
        macs=4_635_954_496,
        full_macs=7_373_717_504,
        dynamic_macs=(4_726_718_464, 6_463_094_784),
        size=SIZE,
    )
    guard = GuardCost(
        parameters=70464, macs=1_234_567, share_of_parameters=0.0627, share_of_macs=0.0003, needed=True, size=SIZE
    )
    bound = evidence_bound(routing.judging, (Task.DERAIN,), plan.served)
    return SlimFacts(plan=plan, model_sha256="d" * 64, costs=costs, guard=guard, bound=bound)


def guard_facts() -> GuardFacts:
    """Haze is told from rain but for one picture, snow is not."""
    rule = GuardRule(
        pictures=((-0.1, -2.3), (-0.2, -1.7)),
        neighbours=1,
        floor=1e-3,
        threshold=0.4567,
        false_alarms=0.05,
        left_out_false_alarms=0.0625,
    )
    distances = {Task.DERAIN: (0.1, 0.2, 0.3, 0.5), Task.DEHAZE: (0.4, 0.8, 0.9, None), Task.DESNOW: (0.2, 0.3)}
    judged = tuple(
        Judged(name=f"{task}/{n}", task=task, distance=value, foreign=value is None or value > 0.4567)
        for task, values in distances.items()
        for n, value in enumerate(values)
    )
    return GuardFacts(tasks=(Task.DERAIN,), rule=rule, judged=judged, by_task=by_task(judged, (Task.DERAIN,)))


def reference() -> Reference:
    """Of the four judging pictures."""
    return Reference(
        model_sha256="a" * 64, data_sha256="c" * 64, size=None, device="x86_64", torch="2.9", pictures=NAMES
    )


def artifact(precision: Precision, slim: SlimFacts) -> Artifact:
    """An artifact with islands, skipped operations and proofs of every state."""
    noisy = [Skipped(what=f"enc.{i}", reason=f"int8 noise alone {20 + i}.5 dB below; spent") for i in range(3)]
    integer = precision is Precision.INT8
    share = 0.7075 if integer else None
    return Artifact(
        target=TargetName.ONNX,
        precision=precision,
        tasks=("derain",),
        model="model.onnx",
        interface=Interface(inputs=(IMAGE,), outputs=()),
        files={"model.onnx": FileEntry(sha256="e" * 64, size_bytes=1_900_876)},
        origin=Origin(checkpoint_sha256="a" * 64, model_sha256=slim.model_sha256),
        recipe={"target": "onnx", "note": "</script><b>"},
        versions={"moceir-edge": "0.1.0"},
        counts=Counts(parameters=1124306, size_bytes=1_900_876, macs=4_635_954_496, size=SIZE, integer_share=share),
        proofs=Proofs(parsed=Proof(state=GateState.PASSED, reason="ONNX Runtime"), built=Proof(state=GateState.FAILED)),
        islands=() if integer else ("norm.0", "norm.1"),
        overflow=() if integer else overflow(),
        skipped=tuple(noisy) if integer else (),
    )


def overflow() -> tuple[OverflowBound, ...]:
    """On two pictures, one of them with no parity."""
    return (
        OverflowBound(picture="black", size=SIZE, bound=29.25, operation="enc.0.conv", parity_db=61.4),
        OverflowBound(picture="white", size=SIZE, bound=12345.6, operation="enc.1.conv", parity_db=None),
    )


def precision_plan() -> PrecisionPlan:
    """One convolution in integers."""
    chosen = Option(choice=Choice.INT8, integer=("enc.9",), cost=0.5, noise=0.0006, share=0.7, losses={"derain": 0.02})
    return PrecisionPlan(
        integer={"enc.9": Ranges(input=1.0, output=2.0)},
        skipped=(),
        integer_share=0.7,
        simulated=Simulated(residual_snr_db=32.03, mean_change_db={"derain": 0.021}, largest_change_db=0.043),
        groups=(Placed(name="enc.9", chosen=chosen, float_cost=1.0, reason="costs 0.50 of float"),),
        costs="modelled",
        cost_share=0.5,
    )


def weight_plan() -> WeightPlan:
    """One convolution as a palette."""
    chosen = Option(choice=Stored.PALETTE_4, integer=(), cost=1056.0, noise=1e-5, share=0.0, losses={})
    return WeightPlan(
        stored={"enc.9": Stored.PALETTE_4},
        storage=Storage(half=True, blocks=False),
        size_bytes=1_056_000,
        float_bytes=2_400_000,
        layers=(Placed(name="enc.9", chosen=chosen, float_cost=4096.0, reason="costs 0.26 of float"),),
        simulated=Simulated(residual_snr_db=45.81, mean_change_db={}, largest_change_db=None),
    )


def compute_units() -> ComputeUnits:
    """Islands leave the Neural Engine."""
    leaving = Leaving(kind="rsqrt", count=12, unit=Unit.GPU, rule="float32", example="enc_0_norm")
    counts = {Unit.NEURAL_ENGINE: 900, Unit.GPU: 12, Unit.CPU: 0}
    return ComputeUnits(how=ESTIMATE, size=SIZE, operations=counts, switches=24, leaving=(leaving,), rules=RULES)


def verification(precision: Precision) -> Verification:
    """Four rows on three rain pictures of two sets and a hazy one, on which the reference is worse than its input."""
    integer = precision is Precision.INT8
    steps = ("full", "slim", "static", *(("int8", "artifact") if integer else ("float16",)))
    rows = tuple(Row(step=step, how=f"how {step}", pictures=scores(0.013 * i)) for i, step in enumerate(steps))
    return Verification(
        rows=rows,
        summaries=summarize(rows),
        gates=gates(integer=integer),
        unverified=("not executed on device: not verified on a device",),
    )


def gates(*, integer: bool) -> tuple[GateResult, ...]:
    """Passed, not run, and for int8 failed."""
    routes = judged("artifact", "same routes", 0.95, 0.99, at_least=True)
    return (
        judged("slim", "PSNR loss, derain, mean", 0.0131234, 0.05, unit="dB", at_least=False),
        judged("slim", "PSNR loss, dehaze, mean", None, 0.05, unit="dB", at_least=False, reason="no gain"),
        judged("static", "parity, worst picture", 200.0, 80.0, unit="dB", at_least=True),
        *((routes,) if integer else ()),
    )


def scores(loss_db: float) -> tuple[PictureScore, ...]:
    """Each picture loses the same; equal pictures where that is nothing."""
    qualities = (25.7767, 24.4309, 25.3498, 16.5)
    inputs = (25.3101, 25.007, 24.3874, 17.5)
    return tuple(
        PictureScore(
            name=name,
            task=Task.DEHAZE if name.startswith("dehaze") else Task.DERAIN,
            set_name=name.split("/")[0],
            input_db=before,
            quality_db=quality - loss_db,
            ssim=0.81 - loss_db,
            parity_db=60.0 - loss_db if loss_db else None,
            residual_snr_db=33.3 - loss_db if loss_db else None,
            step_parity_db=None,
            step_snr_db=None,
            agreement=1.0 if loss_db else None,
            same_routes=None,
        )
        for name, quality, before in zip(NAMES, qualities, inputs, strict=True)
    )


def write_pictures(folder: Path, names: Sequence[str] = (HOSTILE, "dehaze/d")) -> None:
    """Five versions of each picture; the second one's difference is flat."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for index, name in enumerate(names):
        for kind in ("input", "reference", "artifact", "difference", "target"):
            pixels = noise.integers(100, 156, (24, 32, 3), np.uint8)
            if kind == "difference" and index == 1:
                pixels[:] = 128
            Image.fromarray(pixels).save(folder / f"{name.replace('/', '__')}.{kind}.png")
