"""What narrowing is decided from and refitted on: everything that is measured on the whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moceir_edge.data.dataset import Dataset
from moceir_edge.narrowing.apply import apply_narrowing
from moceir_edge.narrowing.costs import Unit, cost_table
from moceir_edge.narrowing.crops import Crops, take_crops
from moceir_edge.narrowing.options import STEPS, Part, parts, trunk, widths
from moceir_edge.narrowing.plan import NarrowingPlan, Width, plan_narrowing
from moceir_edge.narrowing.repair import Recorded, record
from moceir_edge.narrowing.statistics import measure_statistics
from moceir_edge.network.network import MoceIR
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent

LOOKED_AT = 8
"""Crops of which gradients are taken, where there are not more tasks."""

NARROWEST = STEPS // 2
"""Of `STEPS`: the trunk stays at least half as wide."""


class Candidate(Record):
    """One plan, cut and refitted: what it counts, and the PSNR it loses on crops that refitted nothing.

    parity_db: PSNR on them against what the whole network gives.
    """

    trunk: int
    cost: int
    loss_db: float
    parity_db: float


@dataclass(frozen=True)
class Measured:
    """Of one network; `plans` and `best` decide and act on it as often as wanted."""

    network: MoceIR
    crops: Crops
    parts: tuple[Part, ...]
    trunks: Mapping[int, Mapping[str, tuple[int, ...]]]
    recorded: Recorded

    def tables(self, unit: Unit, *, progress: Progress = silent) -> dict[int, Width]:
        """The widths of the trunk with their costs."""
        architecture = self.network.architecture
        return {
            width: Width(kept, cost_table(architecture, kept, self.parts, unit))
            for width, kept in progress(list(self.trunks.items()), f"counting {unit}")
        }

    def plans(self, tables: Mapping[int, Width], *, unit: Unit, budget: int) -> tuple[NarrowingPlan, ...]:
        """One for every width of the trunk that allows it."""
        return plan_narrowing(self.network.architecture, self.parts, tables, unit=unit, budget=budget)

    def best(
        self, plans: Sequence[NarrowingPlan], *, progress: Progress = silent
    ) -> tuple[NarrowingPlan, MoceIR, tuple[Candidate, ...]]:
        """The plan that stays nearest to the whole network when it is cut and refitted.

        Not the one that loses least against the targets: on a few crops a cut is better by luck.
        """
        whole = self.crops.restored(self.network)
        quality_db = self.crops.quality_db(whole, self.crops.targets)
        tried: list[tuple[Candidate, NarrowingPlan, MoceIR]] = []
        for plan in progress(plans, "cutting and refitting"):
            narrow = apply_narrowing(self.network, plan, self.recorded, self.crops.fit)
            restored = self.crops.restored(narrow)
            candidate = Candidate(
                trunk=plan.trunk,
                cost=plan.cost,
                loss_db=quality_db - self.crops.quality_db(restored, self.crops.targets),
                parity_db=self.crops.quality_db(restored, whole),
            )
            tried.append((candidate, plan, narrow))
        _, plan, narrow = max(tried, key=lambda one: one[0].parity_db)
        return plan, narrow, tuple(candidate for candidate, _, _ in tried)


def measure(network: MoceIR, choosing: Dataset, *, multiple: int, progress: Progress = silent) -> Measured:
    """Look at a network on choosing pictures with targets; see `options.parts` for `multiple`."""
    crops = take_crops(choosing, progress=progress)
    statistics = measure_statistics(network, crops.few(LOOKED_AT), progress=progress)
    architecture = network.architecture
    grain = max(4, multiple // 2)
    trunks = {
        width: trunk(architecture, statistics, width)
        for width in widths(architecture.width, grain)
        if width * STEPS >= architecture.width * NARROWEST
    }
    return Measured(
        network=network,
        crops=crops,
        parts=parts(architecture, statistics, multiple=multiple),
        trunks=trunks,
        recorded=record(network, crops.fit),
    )
