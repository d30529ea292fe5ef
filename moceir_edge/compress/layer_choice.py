"""The choice in one routed layer: which experts stay, from counts and measured dB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from moceir_edge.errors import PlanError
from moceir_edge.records import Record
from moceir_edge.routing.evidence import Use
from moceir_edge.routing.observe import Observation
from moceir_edge.routing.relevance import IDLE_DB, LayerRelevance
from moceir_edge.terms import Task


class LayerPlan(Record):
    """What becomes of a routed layer.

    kept: original indices whose weights stay; served: those the layer may choose; a served index that is not kept is
    the shortcut alone. coverage: share of choosing pictures whose first choice is served, lowest over the tasks.
    counts: pictures by first choice. relevance: measured changes of the tasks. mean_gate: the number a folded gate
    multiplies proj_out with, None for the exact one.
    """

    layer: str
    kept: tuple[int, ...]
    served: tuple[int, ...]
    coverage: float
    counts: dict[Task, tuple[int, ...]]
    reason: str
    relevance: tuple[LayerRelevance, ...] = ()
    mean_gate: float | None = None

    @property
    def experts(self) -> int:
        """How many experts the full layer has."""
        return len(next(iter(self.counts.values())))

    @property
    def dropped(self) -> tuple[int, ...]:
        """Original indices whose weights go."""
        return tuple(index for index in range(self.experts) if index not in self.kept)


def without_experts(uses: Sequence[Use], relevance: Sequence[LayerRelevance]) -> LayerPlan:
    """The layer with the shortcut in place of all its experts."""
    everyone = tuple(range(len(uses[0].counts)))
    loss = loss_without_experts(relevance, [use.task for use in uses])
    assert loss is not None
    return LayerPlan(
        layer=uses[0].layer,
        kept=(),
        served=everyone,
        coverage=1.0,
        counts=_counts(uses),
        relevance=tuple(relevance),
        reason=f"no expert: the shortcut alone changes the PSNR by {-loss:+z.4f} dB (mean of the worst task)",
    )


def with_experts(
    uses: Sequence[Use], relevance: Sequence[LayerRelevance], *, coverage: float, max_experts: int | None
) -> LayerPlan:
    """Experts in the order of their use, the mean over the tasks, until every task is covered or the limit is reached.

    PlanError if the coverage asked for is so low that no expert is needed.
    """
    _refuse_arbitrary(uses, coverage)
    ordered = sorted(range(len(uses[0].counts)), key=lambda index: -fmean(use.shares[index] for use in uses))
    count = next(n for n in range(1, len(ordered) + 1) if covered(uses, ordered[:n]) >= coverage or n == max_experts)
    kept = tuple(sorted(ordered[:count]))
    return LayerPlan(
        layer=uses[0].layer,
        kept=kept,
        served=kept,
        coverage=covered(uses, kept),
        counts=_counts(uses),
        relevance=tuple(relevance),
        reason=_reason(uses, relevance, kept, coverage=coverage),
    )


def fold_gate(plan: LayerPlan, observation: Observation, tasks: Sequence[Task], layer: int) -> LayerPlan:
    """With the mean of the gate over the pictures, each task counting alike."""
    if len(plan.kept) > 1:
        raise PlanError(
            f"layer {plan.layer} keeps experts {', '.join(map(str, plan.kept))}, and a folded gate can weigh only one",
            "ask for --gate exact or --max-experts 1",
        )
    gates = [
        fmean(max(picture.scores[layer][index] for index in plan.served) for picture in observation.of([task]).pictures)
        for task in tasks
    ]
    return plan.model_copy(update={"mean_gate": fmean(gates)})


def covered(uses: Sequence[Use], served: Sequence[int]) -> float:
    """Share of the pictures whose first choice is served, lowest over the tasks."""
    return min(sum(use.counts[index] for index in served) / use.n for use in uses)


def loss_without_experts(relevance: Sequence[LayerRelevance], tasks: Sequence[Task]) -> float | None:
    """Mean dB lost by the worst task when the shortcut stands alone; None where it was not measured for every task."""
    by_task: Mapping[Task, LayerRelevance] = {row.task: row for row in relevance}
    losses = []
    for task in tasks:
        change = by_task[task].change(None) if task in by_task else None
        if change is None or change.mean_db is None:
            return None
        losses.append(-change.mean_db)
    return max(losses)


def unneeded(losses: Mapping[str, float | None], *, budget_db: float) -> frozenset[str]:
    """Layers that lose at most `IDLE_DB` without experts, least loss first, while the losses add up to the budget."""
    chosen, spent = set(), 0.0
    known = {layer: loss for layer, loss in losses.items() if loss is not None and loss <= IDLE_DB}
    for layer, loss in sorted(known.items(), key=lambda item: (item[1], item[0])):
        spent += max(loss, 0.0)
        if spent <= budget_db:
            chosen.add(layer)
    return frozenset(chosen)


def _refuse_arbitrary(uses: Sequence[Use], coverage: float) -> None:
    """An expert is needed if the coverage breaks without it alone; where none is, any choice would be arbitrary."""
    for use in uses:
        if max(use.shares) <= 1 - coverage:
            raise PlanError(
                f"layer {use.layer} would keep 0 of {len(use.counts)} experts for task '{use.task}' "
                f"(coverage {coverage:.2f})",
                f"raise --coverage above {1 - max(use.shares):.2f}",
            )


def _reason(uses: Sequence[Use], relevance: Sequence[LayerRelevance], kept: tuple[int, ...], *, coverage: float) -> str:
    reached = covered(uses, kept)
    names = ", ".join(str(index) for index in kept)
    what = f"expert {names}: first choice of {reached:.1%} of the pictures (of the worst task)"
    if reached >= coverage:
        return what
    changes = [row.change(kept[0]) for row in relevance] if len(kept) == 1 else []
    measured = [change.mean_db for change in changes if change is not None and change.mean_db is not None]
    cost = f"; taking it changes the others by {min(measured):+.3f} dB (mean of the worst task)" if measured else ""
    return f"{what}, below the {coverage:.1%} asked for: --max-experts allows no more{cost}"


def _counts(uses: Sequence[Use]) -> dict[Task, tuple[int, ...]]:
    return {use.task: use.counts for use in uses}
