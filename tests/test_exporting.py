"""What export adds to a float16 artifact: islands where they are needed, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from moceir_edge import exporting
from moceir_edge.artifacts import Artifact
from moceir_edge.compress import stored_weights
from moceir_edge.compress.crops import Crop
from moceir_edge.compress.group_costs import GroupCosts, modelled_costs
from moceir_edge.compress.groups import Group
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.safety import Allowed, Simulated
from moceir_edge.compress.weight_plan import WEIGHTS_FILE, WeightPlan
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import GateError, InputError
from moceir_edge.exporting import Search, Source, with_guard, with_memory, write_artifact, write_model
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.parity import verify
from moceir_edge.parity.verify import Subject, steps_of, verify_artifact
from moceir_edge.program.islands import FLOAT16_LARGEST
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Limits, Recipe
from moceir_edge.runner import NetworkRunner
from moceir_edge.targets.target import Timer, target_of
from moceir_edge.terms import GateState, TargetName, Task
from tests.parity.fakes import dataset, noise, sample
from tests.parity.test_overflow import swollen
from tests.targets import fake
from tests.targets.networks import UNHEARD, crops, exported, full_plan, recipe, small_network

SIZE = (64, 72)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, Artifact, Path]:
    """A network with a planted overflow, exported in float16."""
    missing = target_of(TargetName.ONNX).missing()
    if missing is not None:
        pytest.skip(missing)
    model = LoadedModel(swollen(load(MODEL).network), "swollen")
    folder = tmp_path_factory.mktemp("swollen")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    source = Source(model, model, (Task.DERAIN,))
    return model, write_artifact(source, recipe("onnx", "float16", size=SIZE), dataset(picture), folder), folder


def test_an_artifact_without_guard_says_why(artifact: tuple[LoadedModel, Artifact, Path]) -> None:
    """One photograph makes no limit; a recipe may want none."""
    model, found, _ = artifact
    assert found.guard is None
    assert "1 choosing photographs are too few for a threshold, it takes 3" in [item.reason for item in found.skipped]
    source = Source(model, model, (Task.DERAIN,))
    unguarded = with_guard(found, source, recipe("onnx", guard=False), dataset())
    assert unguarded.skipped[-1].reason == "the recipe keeps no guard"


def test_islands_of_the_export_are_those_of_the_artifact(artifact: tuple[LoadedModel, Artifact, Path]) -> None:
    """Those placed by hand and those that the planted overflow needs; what is left fits into float16."""
    model, found, _ = artifact
    prepared = target_of(TargetName.ONNX).prepare(lower(model.network), recipe("onnx", "float16", size=SIZE))
    by_hand = set(prepared.islands)
    assert set(found.islands) > by_hand
    assert all(name.startswith("latent.layers.0.ffn.") for name in set(found.islands) - by_hand)
    assert max(bound.bound for bound in found.overflow) < FLOAT16_LARGEST


def test_the_artifact_passes_with_its_islands(artifact: tuple[LoadedModel, Artifact, Path]) -> None:
    """The emulation of its gates rounds what the artifact rounds; without the islands it would be no number."""
    model, found, folder = artifact
    picture = sample("derain/1", noise(1, height=SIZE[0], width=SIZE[1]), noise(2, height=SIZE[0], width=SIZE[1]))
    runner = NetworkRunner(model.network)
    failed = {}
    for name, islands in (("placed", found.islands), ("by hand", lower(model.network).islands)):
        subject = Subject(found.model_copy(update={"islands": islands}), folder, model, slim=False)
        judged = verify_artifact(subject, dataset(picture), lambda given: runner.run(given.load().input).restored)
        float16 = [gate for gate in judged.gates if gate.step == "float16" and gate.state is GateState.FAILED]
        failed[name] = {gate.gate for gate in float16}
    assert failed["placed"] == set()
    assert failed["by hand"] >= {"float16 bound at 72x64", "parity, worst picture"}


def test_memory_or_the_reason_why_not(artifact: tuple[LoadedModel, Artifact, Path], tmp_path: Path) -> None:
    """A target that cannot measure it says so among what was skipped."""
    assert artifact[1].memory is not None
    unmeasured = with_memory(
        exported(fake.TARGET, lower(small_network()), recipe("onnx"), tmp_path), fake.TARGET, tmp_path
    )
    assert unmeasured.memory is None
    assert [(item.what, item.reason) for item in unmeasured.skipped] == [
        ("memory per megapixel", "a fake runs in this process")
    ]


def test_doubts_about_int8_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where float is faster, and where 8-bit weights saturate."""
    plan = PrecisionPlan(integer={}, skipped=(), integer_share=0.7, simulated=UNHEARD, costs="ms", cost_share=1.2)
    monkeypatch.setattr(exporting, "has_vnni", lambda: False)
    full, reduced = (recipe("onnx", "int8", quantize={"reduced_range": each}) for each in (False, True))
    assert [text[:22] for text in exporting._doubts(plan, full)] == ["int8 costs 1.20 of flo", "this x86 has no VNNI, "]
    assert len([*exporting._doubts(plan, reduced)]) == 1
    good = plan.model_copy(update={"cost_share": 0.9})
    assert not [*exporting._doubts(good, reduced)]
    loud = Simulated(residual_snr_db=21.0, mean_change_db={"derain": 0.2}, largest_change_db=0.3)
    [doubt] = exporting._doubts(good.model_copy(update={"simulated": loud}), reduced)
    assert "21.0 dB and changes PSNR by 0.200 dB" in doubt


@pytest.mark.parametrize(
    ("names", "options", "says"),
    [
        (("elsewhere",), {}, "no convolution elsewhere"),
        ((), {}, "nothing is in integers"),
        (("output",), {"keep_float": ["^output$"]}, "output is in integers there, and the recipe keeps it"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(names: tuple[str, ...], options: dict[str, object], says: str) -> None:
    """With what does not fit."""
    ranges = {name: Ranges(input=1.0, output=1.0) for name in names}
    plan = PrecisionPlan(integer=ranges, skipped=(), integer_share=0.7, simulated=UNHEARD)
    with pytest.raises(InputError, match=says):
        exporting.plan_of(
            lower(small_network()), (), recipe("onnx", "int8", quantize=options), search=Search(plan=plan)
        )


def test_a_busy_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that were timed beside other work may be placed wrongly."""

    class Target:
        """Times on a busy machine."""

        def timer(self, _: object) -> Timer:
            """See `targets.target.Target`."""

            def timed(program: Program, groups: Sequence[Group], ranges: object, progress: object) -> GroupCosts:
                del ranges, progress
                costs = modelled_costs(program, groups, size=SIZE)
                return costs.model_copy(update={"busy": "other processes used 50% of the machine"})

            return timed

    said: list[str] = []
    monkeypatch.setattr(exporting, "target_of", lambda _: Target())
    loose = {"residual_snr_db": {"value": -20.0, "reason": "random weights"}}
    given = recipe("onnx", "int8", limits=loose)
    exporting.plan_of(lower(small_network()), [Crop(crop) for crop in crops()], given, search=Search(say=said.append))
    assert "other processes used 50% of the machine while groups were timed" in said[0]


def test_calibration_crops_have_their_targets_and_tasks() -> None:
    """Of the fixed size, balanced over tasks and sets, as many as there are."""
    pictures = [noise(seed, height=72, width=80) for seed in range(4)]
    given = dataset(
        *(sample(f"derain/{seed}", picture, picture / 2) for seed, picture in enumerate(pictures[:3])),
        sample("dehaze/3", pictures[3], pictures[3] / 2, task=Task.DEHAZE),
    )
    options = {"pictures": 4, "crop": 32}
    found = exporting.calibrate(lower(small_network()), given, recipe("onnx", "int8", size=SIZE, quantize=options))
    assert sorted(crop.task for crop in found) == ["dehaze", "derain", "derain"]
    for crop in found:
        assert crop.target is not None
        assert crop.image.shape == (1, 3, *SIZE)
        assert (crop.target == crop.image / 2).all()
        assert any(np.isin(crop.image, picture).all() for picture in pictures)


def test_what_the_gates_allow_is_what_plans_keep_to() -> None:
    """The recipe's limits, or those of int8."""
    assert exporting.allowed_by(Limits()) == Allowed(residual_snr_db=20.0, mean_loss_db=0.1, worst_loss_db=0.5)
    names = ("residual_snr_db", "quality_loss_db", "worst_loss_db")
    moved = Limits.model_validate({name: {"value": value} for name, value in zip(names, (30, 0.2, 0.4), strict=True)})
    assert exporting.allowed_by(moved) == Allowed(residual_snr_db=30.0, mean_loss_db=0.2, worst_loss_db=0.4)


def test_one_calibration_picture_is_named() -> None:
    """Ranges of one picture are narrow."""
    said: list[str] = []
    program = lower(small_network())
    picture = sample("derain/0", noise(0, height=64, width=64))
    exporting.calibrate(program, dataset(picture), recipe("onnx", "int8", size=SIZE), say=said.append)
    assert said
    assert "only derain/0 calibrates" in said[0]
    more = dataset(picture, sample("derain/1", noise(1, height=64, width=64)))
    exporting.calibrate(program, more, recipe("onnx", "int8", size=SIZE), say=said.append)
    assert len(said) == 1


def exported_for_core_ml(chosen: Recipe, folder: Path, search: Search) -> tuple[Subject, Artifact]:
    """The small network in a package."""
    missing = target_of(TargetName.COREML).missing()
    if missing is not None:
        pytest.skip(missing)
    model = LoadedModel(small_network(), "small")
    pictures = [sample(f"derain/{seed}", noise(seed, height=40, width=48)) for seed in range(2)]
    found = write_artifact(Source(model, model, (Task.DERAIN,)), chosen, dataset(*pictures), folder, search=search)
    return Subject(found, folder, model, slim=False), found


def test_too_loud_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no plan is safely within the gates, the safest is taken, and a person is told."""
    monkeypatch.setattr(stored_weights, "SMALLEST", 64)
    said: list[str] = []
    options = {"coreml": {"interface": "tensor", "weights": "smallest"}, "quantize": {"pictures": 2, "crop": 32}}
    chosen = recipe("coreml", "float16", limits={"residual_snr_db": {"value": 150, "reason": "to fail"}}, **options)
    exported_for_core_ml(chosen, tmp_path, Search(say=said.append))
    [doubt] = [text for text in said if "smallest weights" in text and "more than is safe" in text]
    assert doubt.startswith("warning: on calibration crops")


def test_the_gate_on_integers_says_where_they_were_counted(artifact: tuple[LoadedModel, Artifact, Path]) -> None:
    """In the words of the target."""
    counted = {"integer_share": 0.7, "counted_in": "the package that was read back"}
    found = artifact[1].model_copy(update={"counts": artifact[1].counts.model_copy(update=counted)})
    [gate] = verify._artifact_gates(found)
    assert gate.reason == "counted in the package that was read back"


def test_an_island_is_refused_where_there_is_no_float32(tmp_path: Path) -> None:
    """What float16 cannot hold is an error that names it, before anything is searched or written."""
    model = LoadedModel(swollen(load(MODEL).network), "swollen")
    picture = sample("derain/0", noise(0, height=SIZE[0], width=SIZE[1]))
    with pytest.raises(GateError, match=r"float16 cannot hold .* at this size, and the target has nothing wider"):
        write_model(model, recipe("qnn", "int8", size=SIZE), dataset(picture), tmp_path)
    assert not list(tmp_path.iterdir())


def test_int8_for_core_ml_is_simulated_as_the_package_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the steps that it stores; and once it was run by Core ML, nothing says that it was not."""
    plan = full_plan(lower(small_network()))
    chosen = recipe("coreml", "int8", coreml={"interface": "tensor"})
    subject, found = exported_for_core_ml(chosen, tmp_path, Search(plan=plan))
    steps = {step.name: step.runner for step in steps_of(subject)[0]}
    picture = noise(9, height=found.fixed_size[0], width=found.fixed_size[1]) if found.fixed_size else noise(9)
    int8, package = (steps[name].run(picture).restored for name in ("int8", "artifact"))
    assert psnr_db(int8, package) >= 80
    judging, reference = dataset(sample("derain/9", picture)), lambda _: picture
    emulated = verify_artifact(subject, judging, reference)
    assert any(text.startswith("not executed: Core ML") for text in emulated.unverified)
    target = target_of(TargetName.COREML)
    monkeypatch.setattr(type(target), "runner", lambda self, artifact, folder, **_: self.emulator(artifact, folder))
    executed = verify_artifact(subject, judging, reference)
    assert executed.executed_by == "coreml"
    assert not any(text.startswith("not executed: ") for text in executed.unverified)
    assert any(text.startswith("not executed on device") or "not built" in text for text in executed.unverified)


@pytest.mark.parametrize("weights", ["int8", "smallest"])
def test_a_core_ml_package_is_judged_with_the_weights_it_stores(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan lies beside the package, and the emulated package agrees with the float16 row far above the gate."""
    missing = target_of(TargetName.COREML).missing()
    if missing is not None:
        pytest.skip(missing)
    monkeypatch.setattr(stored_weights, "SMALLEST", 64)
    model = LoadedModel(small_network(), "small")
    more = {"quantize": {"pictures": 2, "crop": 32}} if weights == "smallest" else {}
    chosen = recipe("coreml", "float16", coreml={"interface": "tensor", "weights": weights}, **more)
    pictures = [sample(f"derain/{seed}", noise(seed, height=40, width=48)) for seed in range(2)]
    source = Source(model, model, (Task.DERAIN,))
    found = write_artifact(source, chosen, dataset(*pictures), tmp_path)
    plan = WeightPlan.read(tmp_path / WEIGHTS_FILE)
    assert plan.size_bytes < plan.float_bytes
    assert (plan.model_sha256, plan.simulated is not None) == (model.sha256, weights == "smallest")
    assert any("smaller weights" in note.what for note in found.skipped)
    judging = sample("derain/9", noise(9, height=40, width=48))
    runner = NetworkRunner(model.network)
    subject = Subject(found, tmp_path, model, slim=False)
    judged = verify_artifact(subject, dataset(judging), lambda given: runner.run(given.load().input).restored)
    halves = {row.step: row.pictures[0] for row in judged.rows}
    assert halves["artifact"].step_parity_db == pytest.approx(halves["float16"].step_parity_db, abs=1.0)
    assert 40 < halves["artifact"].step_parity_db < 100
    assert found.proofs.emulated.state is GateState.PASSED
