"""Narrowing to a latency: every option of every part is timed on ONNX Runtime, and every plan as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

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
from moceir_edge.targets.onnx_costs import SETTLE_S, cut_out, shape_of, signature
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.onnx_runtime import session
from moceir_edge.terms import Progress, silent
from moceir_edge.timing import interleaved_ms

ROUNDS = 7

TRIALS = 4
"""How often a plan is corrected by what it took as a whole."""

CLOSE = 0.03
"""Of the limit: a plan that is this much faster is not made slower."""


def time_tables(measured: Measured, *, progress: Progress = silent) -> dict[int, Width]:
    """As `Measured.tables`, in microseconds for a picture of `SIZE` in float32, with a thread for each core.

    The options of a part are timed side by side, round by round; parts of equal operations and shapes once. What
    belongs to no part is what the whole takes beyond them.
    """
    timed: dict[str, tuple[int, ...]] = {}
    trunks = list(measured.trunks.items())
    return {width: _width(measured, trunk, timed) for width, trunk in progress(trunks, "timing parts")}


def _width(measured: Measured, trunk: Mapping[str, tuple[int, ...]], timed: dict[str, tuple[int, ...]]) -> Width:
    """timed: what is known of parts by their signature, and grows."""
    exported = [_with_options(measured, trunk, number) for number in range(most_options(measured.parts))]
    parts = {}
    for part in measured.parts:
        cuts = [cut_out(model, part.name) for model, _ in zip(exported, part.options, strict=False)]
        key = signature(cuts[0], Group(part.name, ()))
        if key not in timed:
            timed[key] = _microseconds(cuts)
        parts[part.name] = timed[key]
    (whole,) = _microseconds(exported[:1])
    return Width(trunk, CostTable(max(0, whole - sum(costs[0] for costs in parts.values())), parts))


def _with_options(measured: Measured, trunk: Mapping[str, tuple[int, ...]], number: int) -> onnx.ModelProto:
    kept = with_options(trunk, measured.parts, number)
    return _exported(MoceIR(cut_architecture(measured.network.architecture, kept)).eval())


def _microseconds(models: Sequence[onnx.ModelProto]) -> tuple[int, ...]:
    """Of the first one, the median; of the others, the median of the rounds' ratios to it times that."""
    calls = {number: _call(model) for number, model in enumerate(models)}
    found = interleaved_ms(calls, rounds=ROUNDS, settle_s=SETTLE_S)
    first = median(found[0])
    ratios = (median(a / b for a, b in zip(found[number], found[0], strict=True)) for number in calls)
    return tuple(round(1000 * first * ratio) for ratio in ratios)


def plans_within(
    measured: Measured, tables: Mapping[int, Width], *, limit_ms: float, progress: Progress = silent
) -> tuple[tuple[NarrowingPlan, ...], LatencySearch]:
    """For every width of the trunk, the plan that takes at most `limit_ms` as a whole, where there is one.

    A plan is timed beside the whole network, round by round; where parts together take another time than each by
    itself, the plan is made again with that much more or less. PlanError names the shortest time that was reached.
    """
    architecture = measured.network.architecture
    beside = _Beside(measured.network)
    if beside.latency_ms(measured.network) <= limit_ms:
        raise PlanError(f"the model takes {beside.whole_ms:.1f} ms, and {limit_ms:g} are asked for", "ask for fewer")
    timed: list[Timed] = []
    fitting: list[NarrowingPlan] = []
    for width in progress(sorted(tables, reverse=True), "timing plans"):
        only = {width: tables[width], architecture.width: tables[architecture.width]}
        allowed, best = limit_ms, None
        for _ in range(TRIALS):
            plan = _plan(measured, only, width, round(1000 * allowed))
            if plan is None:
                break
            latency = beside.latency_ms(cut_network(measured.network, plan)[0])
            timed.append(Timed(trunk=width, predicted_ms=plan.cost / 1000, latency_ms=latency))
            if latency <= limit_ms and (best is None or plan.error < best.error):
                best = plan
            if latency <= limit_ms and (latency >= (1 - CLOSE) * limit_ms or plan.error == 0):
                break
            allowed *= (1 - CLOSE / 2) * limit_ms / latency
        fitting += [best] if best is not None else []
    if not fitting:
        raise PlanError(_shortest(measured, tables, timed, limit_ms), "allow more")
    what = f"ONNX Runtime, float32, {SIZE[1]}x{SIZE[0]}, {processor_name()} with {cores()} threads"
    return tuple(fitting), LatencySearch(limit_ms=limit_ms, whole_ms=beside.whole_ms, what=what, timed=tuple(timed))


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
    """Times networks against the whole one."""

    def __init__(self, whole: MoceIR) -> None:
        self._whole = _call(_exported(whole))
        self._times: list[float] = []

    @property
    def whole_ms(self) -> float:
        """Median over everything that was timed."""
        return median(self._times)

    def latency_ms(self, narrow: MoceIR) -> float:
        """The median of the rounds' ratios, times what the whole network takes."""
        found = interleaved_ms({"whole": self._whole, "narrow": _call(_exported(narrow))}, rounds=ROUNDS)
        self._times += found["whole"]
        return self.whole_ms * median(a / b for a, b in zip(found["narrow"], found["whole"], strict=True))


def _exported(network: MoceIR) -> onnx.ModelProto:
    model = onnx_model(fold_norms(lower(network)), size=SIZE)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _call(model: onnx.ModelProto) -> Callable[[], object]:
    random = np.random.default_rng(0)
    feed = {value.name: random.standard_normal(shape_of(value), np.float32) for value in model.graph.input}
    return partial(session(model.SerializeToString(), threads=cores()).run, None, feed)
