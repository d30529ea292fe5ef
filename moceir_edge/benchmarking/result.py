"""Everything a benchmark found, as one frozen value."""

from __future__ import annotations

from moceir_edge.benchmarking.baseline import Baseline
from moceir_edge.benchmarking.comparing import Parity, Quality
from moceir_edge.benchmarking.machine import Machine
from moceir_edge.benchmarking.memory import PeakMemory
from moceir_edge.benchmarking.operators import OperatorTime
from moceir_edge.benchmarking.peaks import Peaks
from moceir_edge.benchmarking.ratios import Ratio
from moceir_edge.benchmarking.roofline import Roofline
from moceir_edge.benchmarking.timing import Timing
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.records import Record, Skipped


class VariantResult(Record):
    """What was measured of a variant.

    integer_share: share of MACs in integer kernels, where we placed them; memory: None where it could not be measured;
    roofline: name of the bound it is held against, None where no peak of its precision was measured;
    over_roofline: median latency over that bound.
    """

    variant: Variant
    meaning: str
    size_bytes: int
    integer_share: float | None
    timing: Timing
    parity: Parity
    memory: PeakMemory | None
    quality: Quality | None
    operators: tuple[OperatorTime, ...]
    roofline: str | None
    over_roofline: float | None


class Benchmark(Record):
    """Variants of one model on one machine.

    model_sha256, kept_sha256: of the full model and of the one with its kept experts; experts: kept indices of each
    routed layer in running order; size: (height, width); picture: what was restored; data_sha256: of DATA's choosing
    and judging sides, if any; baseline: None where the straightforward graph was not built.
    whole_macs: of the model that this one was narrowed from, where that was given.
    """

    model: str
    name: str
    model_sha256: str
    kept_sha256: str
    experts: dict[str, tuple[int, ...]]
    size: tuple[int, int]
    threads: int
    rounds: int
    picture: str
    calibration_sha256: str
    judging_sha256: str | None
    machine: Machine
    versions: dict[str, str]
    macs: int
    whole_macs: int | None
    baseline: Baseline | None
    variants: tuple[VariantResult, ...]
    ratios: tuple[Ratio, ...]
    peaks: Peaks
    rooflines: tuple[Roofline, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]

    def ratio(self, variant: Variant, against: Variant) -> Ratio | None:
        """How many times as fast a variant is, if both were timed."""
        found = [ratio for ratio in self.ratios if (ratio.variant, ratio.against) == (variant, against)]
        return found[0] if found else None

    @property
    def latency_per_macs(self) -> float | None:
        """How much of what narrowing saves in MACs it saves in time: (1 - t / t0) / (1 - M / M0) of float32."""
        ratio = self.ratio(Variant.LOWERED, Variant.WHOLE)
        if ratio is None or self.whole_macs is None or self.macs == self.whole_macs:
            return None
        return (1 - 1 / ratio.median) / (1 - self.macs / self.whole_macs)
