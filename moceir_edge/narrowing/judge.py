"""What a narrow model lost, on pictures that chose nothing."""

from __future__ import annotations

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.network.network import MoceIR
from moceir_edge.parity.compare import Step, TaskSummary, compare, summarize
from moceir_edge.parity.fit import fit
from moceir_edge.records import Record
from moceir_edge.runner import Image, NetworkRunner
from moceir_edge.terms import Progress, silent

NARROW = "narrow"


class Judgement(Record):
    """Of every task, and of each of its sets where it has several; the reference is the model that was narrowed."""

    data_sha256: str
    summaries: tuple[TaskSummary, ...]


def judge(whole: MoceIR, narrow: MoceIR, judging: Dataset, *, progress: Progress = silent) -> Judgement:
    """Restore every picture with both."""

    def reference(sample: Sample) -> Image:
        return NetworkRunner(whole).run(fit(sample, None).image).restored

    step = Step(NARROW, "the narrow model in PyTorch, float32, no routing noise", NetworkRunner(narrow))
    rows = compare([step], judging, reference, size=None, progress=progress)
    found = tuple(row for row in summarize(rows) if row.step == NARROW)
    return Judgement(data_sha256=judging.sha256, summaries=found)
