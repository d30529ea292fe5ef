"""Gates judge plain numbers: limits, and what counts where."""

from __future__ import annotations

from typing import Any

import pytest

from moceir_edge.artifacts import GateResult
from moceir_edge.parity.compare import PictureScore, Row
from moceir_edge.parity.gates import (
    EQUAL_DB,
    judged,
    precision_gates,
    quality_gates,
    slim_gates,
    static_gates,
)
from moceir_edge.recipe.schema import Limit, Limits
from moceir_edge.terms import GateMode, GateState, Precision, Task
from tests.parity.fakes import row, score

KEPT = "layer decisions kept, worst task"
PASSED, FAILED, NOT_RUN = GateState.PASSED, GateState.FAILED, GateState.NOT_RUN


def rows(step: str, *, reference: dict[str, Any] | None = None, **numbers: Any) -> tuple[Row, Row]:
    """A reference of 30 dB, and a step with one picture."""
    return row("full", score(**(reference or {}))), row(step, score(**numbers))


def states(gates: tuple[GateResult, ...]) -> dict[str, GateState]:
    """The outcome of each gate by name."""
    return {gate.gate: gate.state for gate in gates}


@pytest.mark.parametrize(("value", "state"), [(2.0, PASSED), (3.0, PASSED), (1.999, FAILED), (None, NOT_RUN)])
def test_at_least(value: float | None, state: GateState) -> None:
    """The limit itself passes; nothing measured is not run."""
    assert judged("s", "g", value, 2.0, at_least=True).state is state


@pytest.mark.parametrize(("value", "state"), [(2.0, PASSED), (1.0, PASSED), (2.001, FAILED), (None, NOT_RUN)])
def test_at_most(value: float | None, state: GateState) -> None:
    """The limit itself passes; nothing measured is not run."""
    assert judged("s", "g", value, 2.0, at_least=False).state is state


def test_text_says_value_limit_and_reason() -> None:
    """One line for people."""
    gate = judged("int8", "PSNR loss", 0.1234, 0.1, unit="dB", at_least=False, reason="a test")
    assert gate.text == "int8: PSNR loss 0.123 dB, limit <= 0.1 dB (a test)"
    assert judged("int8", "share", None, 0.6, at_least=True).text == "int8: share not run, limit >= 0.6"


@pytest.mark.parametrize(("quality", "state"), [(29.951, PASSED), (31.0, PASSED), (29.94, FAILED)])
def test_slim_may_lose_a_twentieth_of_a_decibel(quality: float, state: GateState) -> None:
    """On its own task, against the reference."""
    gates = slim_gates(rows("slim", quality_db=quality, agreement=1.0), gate=GateMode.EXACT, refusing=1)
    assert states(gates) == {KEPT: PASSED, "PSNR loss, derain, mean": state}


@pytest.mark.parametrize(("agreement", "state"), [(1.0, PASSED), (0.99, PASSED), (0.98, FAILED), (None, NOT_RUN)])
def test_slim_keeps_decisions(agreement: float | None, state: GateState) -> None:
    """Measured by its own routers; a folded gate decides nothing."""
    found = rows("slim", agreement=agreement)
    assert states(slim_gates(found, gate=GateMode.EXACT, refusing=1))[KEPT] is state
    assert KEPT not in states(slim_gates(found, gate=GateMode.FOLDED, refusing=1))


def test_slim_says_where_nothing_can_be_refused() -> None:
    """The shortcut serves every route: the gate is true by nature, and its reason says so."""
    [kept, *_] = slim_gates(rows("slim", agreement=1.0), gate=GateMode.EXACT, refusing=0)
    assert kept.gate == KEPT
    assert "no layer refuses a route" in kept.reason


@pytest.mark.parametrize(("parity", "state"), [(80.0, PASSED), (79.9, FAILED), (None, PASSED)])
def test_rewriting_needs_80_db(parity: float | None, state: GateState) -> None:
    """Equal pictures have no number, and pass."""
    (gate,) = static_gates(rows("static", step_parity_db=parity))
    assert gate.state is state
    assert gate.value == (EQUAL_DB if parity is None else parity)


def test_the_worst_picture_decides_parity() -> None:
    """A good mean hides nothing."""
    pictures = [score("derain/0", step_parity_db=120.0), score("derain/1", step_parity_db=70.0), score("derain/2")]
    (gate,) = static_gates((row("full", *pictures), row("static", *pictures)))
    assert (gate.value, gate.state) == (70.0, FAILED)


@pytest.mark.parametrize(
    ("precision", "numbers", "failed"),
    [
        (Precision.FLOAT16, {"step_parity_db": 50.0, "step_snr_db": 30.0, "same_routes": 1.0}, set()),
        (Precision.FLOAT16, {"step_parity_db": 49.0, "step_snr_db": 30.0}, {"parity, worst picture"}),
        (Precision.FLOAT16, {"step_parity_db": 50.0, "step_snr_db": 29.0}, {"residual SNR, worst picture"}),
        (Precision.FLOAT16, {"same_routes": 0.999}, {"same routes"}),
        (Precision.FLOAT16, {"quality_db": 29.94}, {"PSNR loss, derain, mean"}),
        (Precision.INT8, {"step_parity_db": 1.0, "step_snr_db": 20.0, "same_routes": 0.99}, set()),
        (Precision.INT8, {"step_snr_db": 19.0}, {"residual SNR, worst picture"}),
        (Precision.INT8, {"same_routes": 0.98}, {"same routes"}),
        (Precision.INT8, {"same_verdict": True}, set()),
        (Precision.INT8, {"same_verdict": False}, {"same guard verdicts"}),
        (Precision.INT8, {"quality_db": 29.91}, set()),
        (Precision.INT8, {"quality_db": 29.89}, {"PSNR loss, derain, mean"}),
        (Precision.INT8, {"quality_db": 29.4}, {"PSNR loss, derain, mean", "PSNR loss, derain, worst picture"}),
        (Precision.FLOAT32, {"step_parity_db": 79.0}, {"parity, worst picture"}),
    ],
)
def test_limits_of_precisions(precision: Precision, numbers: dict[str, Any], failed: set[str]) -> None:
    """The table of the gates, at its limits and just beyond."""
    gates = precision_gates(rows("step", **numbers), "step", precision, Limits())
    assert {gate.gate for gate in gates if gate.state is FAILED} == failed


def test_a_moved_limit_is_judged_and_shown_with_its_reason() -> None:
    """The recipe decides, in the open."""
    limits = Limits(
        residual_snr_db=Limit(value=15.0, reason="8-bit output"), quality_loss_db=Limit(value=2.0, reason="a test")
    )
    gates = precision_gates(rows("int8", step_snr_db=16.0, quality_db=29.6), "int8", Precision.INT8, limits)
    found = {gate.gate: (gate.state, gate.limit, gate.reason) for gate in gates}
    assert found["residual SNR, worst picture"] == (PASSED, 15.0, "8-bit output")
    assert found["PSNR loss, derain, mean"] == (PASSED, 2.0, "a test")


def test_artifact_has_the_limits_of_its_precision() -> None:
    """Float16 by parity and residual; int8 without parity, because kernels round in another order."""
    found = rows("artifact", step_parity_db=10.0, step_snr_db=25.0, same_routes=0.995)
    half = states(precision_gates(found, "artifact", Precision.FLOAT16, Limits()))
    whole = states(precision_gates(found, "artifact", Precision.INT8, Limits()))
    assert {name for name, state in half.items() if state is FAILED} == {
        "same routes",
        "parity, worst picture",
        "residual SNR, worst picture",
    }
    assert set(whole.values()) == {PASSED}
    assert "parity, worst picture" not in whole


@pytest.mark.parametrize("quality", [19.0, 20.0])
def test_quality_is_not_run_where_the_reference_does_not_beat_its_input(quality: float) -> None:
    """There is nothing to lose; the reason says by how much."""
    found = rows("slim", reference={"quality_db": quality}, quality_db=1.0)
    (gate,) = quality_gates(found, "slim", limit=0.05)
    assert (gate.state, gate.value) == (NOT_RUN, None)
    assert f"the reference does not beat its input here ({quality - 20:+.2f} dB)" in gate.reason


def test_quality_is_not_run_without_targets() -> None:
    """And says so."""
    blind: dict[str, Any] = {"input_db": None, "quality_db": None}
    (gate,) = quality_gates(rows("slim", reference=blind, **blind), "slim", limit=0.05)
    assert (gate.state, gate.reason) == (NOT_RUN, "no picture has a target")


def test_tasks_are_judged_apart() -> None:
    """One idle task does not excuse another."""

    def pictures(haze: float, rain: float) -> list[PictureScore]:
        return [score("dehaze/0", task=Task.DEHAZE, quality_db=haze), score("derain/0", quality_db=rain)]

    found = (row("full", *pictures(18.0, 30.0)), row("slim", *pictures(1.0, 29.0)))
    assert states(quality_gates(found, "slim", limit=0.05)) == {
        "PSNR loss, dehaze, mean": NOT_RUN,
        "PSNR loss, derain, mean": FAILED,
    }


def test_mean_and_worst_loss_are_two_gates() -> None:
    """Nine good pictures do not hide a bad one."""
    reference = [score(f"derain/{i}") for i in range(10)]
    given = [score(f"derain/{i}", quality_db=30.0 if i else 29.4) for i in range(10)]
    gates = quality_gates((row("full", *reference), row("int8", *given)), "int8", limit=0.1, worst_limit=0.5)
    assert [(gate.state, gate.value) for gate in gates] == [
        (PASSED, pytest.approx(0.06)),
        (FAILED, pytest.approx(0.6)),
    ]
