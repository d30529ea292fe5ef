"""Narrowing to a latency: every option of every part is timed on ONNX Runtime, and every plan as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

import numpy as np
import onnx

from moceir_edge.compress.costs import SIZE
from moceir_edge.compress.groups import Group
from moceir_edge.errors import PlanError
from moceir_edge.narrowing.apply import cut_network
from moceir_edge.narrowing.costs import CostTable, Unit, most_options, with_options
from moceir_edge.narrowing.cut import cut_architecture
from moceir_edge.narrowing.measured import Measured
from moceir_edge.narrowing.plan import NarrowingPlan, Width, least_cost, plan_narrowing
from moceir_edge.narrowing.timed import LatencySearch, Timed
from moceir_edge.network.network import MoceIR
from moceir_edge.processor import cores, processor_name
from moceir_edge.program.lower import lower
from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.targets.onnx_costs import cut_out, shape_of, signature
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.onnx_runtime import session
from moceir_edge.terms import Progress, silent
from moceir_edge.timing import interleaved_ms

ROUNDS = 7

TRIALS = 4
"""How often a plan is corrected by what it took as a whole."""

REFERENCE = -1
"""Stands for the model that the others are timed beside."""

CLOSE = 0.03
"""Of the limit: a plan that is this much faster is not made slower."""


def time_tables(measured: Measured, *, progress: Progress = silent) -> dict[int, Width]:
    """As `Measured.tables`, in microseconds for a picture of `SIZE` in float32, with a thread for each core.

    The options of a part are timed side by side, round by round; parts of equal operations and shapes once. What
    belongs to no part is what the whole takes beyond them.
    """
    beside = _Beside(cut_out(_exported(measured.network), measured.parts[0].name))
    found: dict[str, tuple[float, ...]] = {}
    trunks = list(measured.trunks.items())
    timed = [_multiples(measured, trunk, beside, found) for _, trunk in progress(trunks, "timing parts")]
    scale = 1000 * beside.reference_ms
    return {width: _width(trunk, each, scale) for (width, trunk), each in zip(trunks, timed, strict=True)}


class _Multiples(NamedTuple):
    """Times as multiples of the reference's: of the whole network, and of the options of every part."""

    whole: float
    parts: dict[str, tuple[float, ...]]


def _multiples(
    measured: Measured, trunk: Mapping[str, tuple[int, ...]], beside: _Beside, found: dict[str, tuple[float, ...]]
) -> _Multiples:
    """found: what is known of parts by their signature, and grows."""
    exported = [_with_options(measured, trunk, number) for number in range(most_options(measured.parts))]
    parts = {}
    for part in measured.parts:
        cuts = [cut_out(model, part.name) for model, _ in zip(exported, part.options, strict=False)]
        key = signature(cuts[0], Group(part.name, ()))
        if key not in found:
            found[key] = beside.multiples(cuts)
        parts[part.name] = found[key]
    return _Multiples(beside.multiples(exported[:1])[0], parts)


def _width(trunk: Mapping[str, tuple[int, ...]], timed: _Multiples, scale: float) -> Width:
    parts = {name: tuple(round(scale * each) for each in multiples) for name, multiples in timed.parts.items()}
    base = max(0, round(scale * timed.whole) - sum(costs[0] for costs in parts.values()))
    return Width(trunk, CostTable(base, parts))


def _with_options(measured: Measured, trunk: Mapping[str, tuple[int, ...]], number: int) -> onnx.ModelProto:
    kept = with_options(trunk, measured.parts, number)
    return _exported(MoceIR(cut_architecture(measured.network.architecture, kept)).eval())


def plans_within(
    measured: Measured, tables: Mapping[int, Width], *, limit_ms: float, progress: Progress = silent
) -> tuple[tuple[NarrowingPlan, ...], LatencySearch]:
    """For every width of the trunk, the plan that takes at most `limit_ms` as a whole, where there is one.

    A plan is timed beside the whole network, round by round; where parts together take another time than each by
    itself, the plan is made again with that much more or less. PlanError names the shortest time that was reached.
    """
    architecture = measured.network.architecture
    beside = _Beside(_exported(measured.network))
    if beside.latency_ms(measured.network) <= limit_ms:
        raise PlanError(
            f"the model takes {beside.reference_ms:.1f} ms, and {limit_ms:g} are asked for", "ask for fewer"
        )
    speed = tables[architecture.width].costs.whole / 1000 / beside.reference_ms  # of the machine: then over now
    timed: list[Timed] = []
    fitting: list[NarrowingPlan] = []
    for width in progress(sorted(tables, reverse=True), "timing plans"):
        only = {width: tables[width], architecture.width: tables[architecture.width]}
        allowed, best = limit_ms * speed, None
        for _ in range(TRIALS):
            plan = _plan(measured, only, width, round(1000 * allowed))
            if plan is None:
                break
            latency = beside.latency_ms(cut_network(measured.network, plan)[0])
            timed.append(Timed(trunk=width, predicted_ms=plan.cost / 1000 / speed, latency_ms=latency))
            if latency <= limit_ms and (best is None or plan.error < best.error):
                best = plan
            if latency <= limit_ms and (latency >= (1 - CLOSE) * limit_ms or plan.error == 0):
                break
            allowed *= (1 - CLOSE / 2) * limit_ms / latency
        fitting += [best] if best is not None else []
    if not fitting:
        raise PlanError(_shortest(measured, tables, timed, limit_ms), "allow more")
    what = f"ONNX Runtime, float32, {SIZE[1]}x{SIZE[0]}, {processor_name()} with {cores()} threads"
    return tuple(fitting), LatencySearch(limit_ms=limit_ms, whole_ms=beside.reference_ms, what=what, timed=tuple(timed))


def _shortest(measured: Measured, tables: Mapping[int, Width], timed: Sequence[Timed], limit_ms: float) -> str:
    if timed:
        return (
            f"{limit_ms:g} ms is not reached: the shortest that was timed is {min(t.latency_ms for t in timed):.1f} ms"
        )
    least_ms = least_cost(measured.network.architecture, measured.parts, tables) / 1000
    return f"{limit_ms:g} ms cannot be reached: the narrowest parts together take {least_ms:.1f} ms"


def _plan(measured: Measured, tables: Mapping[int, Width], width: int, budget: int) -> NarrowingPlan | None:
    try:
        plans = plan_narrowing(
            measured.network.architecture, measured.parts, tables, unit=Unit.MICROSECONDS, budget=budget
        )
    except PlanError:
        return None
    return next((plan for plan in plans if plan.trunk == width), None)


class _Beside:
    """Times models beside a reference, round by round, so that a slow minute of the machine hits both."""

    def __init__(self, reference: onnx.ModelProto) -> None:
        self._reference = _call(reference)
        self._times: list[float] = []

    @property
    def reference_ms(self) -> float:
        """Median over everything that was timed."""
        return median(self._times)

    def multiples(self, models: Sequence[onnx.ModelProto]) -> tuple[float, ...]:
        """Of each model, the median of the rounds' ratios to the reference."""
        calls = {REFERENCE: self._reference, **{number: _call(model) for number, model in enumerate(models)}}
        found = interleaved_ms(calls, rounds=ROUNDS)
        reference = found.pop(REFERENCE)
        self._times += reference
        return tuple(median(a / b for a, b in zip(times, reference, strict=True)) for times in found.values())

    def latency_ms(self, narrow: MoceIR) -> float:
        """Of a network, at the speed that the reference had in all."""
        (multiple,) = self.multiples([_exported(narrow)])
        return self.reference_ms * multiple


def _exported(network: MoceIR) -> onnx.ModelProto:
    model = onnx_model(fold_norms(lower(network)), size=SIZE)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _call(model: onnx.ModelProto) -> Callable[[], object]:
    random = np.random.default_rng(0)
    feed = {value.name: random.standard_normal(shape_of(value), np.float32) for value in model.graph.input}
    return partial(session(model.SerializeToString(), threads=cores()).run, None, feed)
