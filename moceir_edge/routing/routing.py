"""What `observe` writes as routing.json."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from moceir_edge.data.split import Split
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import Record, sha256_of_value
from moceir_edge.routing.evidence import Evidence, gather_evidence
from moceir_edge.routing.noise import Noise, measure_noise
from moceir_edge.routing.observe import Observation, observe
from moceir_edge.routing.relevance import Relevance, measure_relevance
from moceir_edge.sharing import Each, alone
from moceir_edge.terms import Progress, Task, silent


class Routing(Record):
    """The routing of a model, seen on pictures that choose and on pictures that judge.

    model_sha256: see `LoadedModel`; choosing_sha256, judging_sha256: of the data. evidence: of the choosing pictures.
    """

    model_sha256: str
    choosing_sha256: str
    judging_sha256: str
    choosing: Observation
    judging: Observation
    evidence: Evidence
    versions: dict[str, str]
    relevance: Relevance | None = None
    noise: Noise | None = None

    @property
    def sha256(self) -> str:
        """Hash of everything above."""
        return sha256_of_value(self.model_dump(mode="json"))


def measure_routing(
    model: LoadedModel,
    data: Split,
    *,
    versions: Mapping[str, str],
    relevant: Collection[Task] | None = None,
    each: Each = alone,
    progress: Progress = silent,
) -> Routing:
    """Observe both sides; measure relevance and noise on the choosing pictures, if there are any.

    relevant: tasks whose relevance and noise are measured, all where it is None; none costs an observation alone.
    each: the loop over pictures.
    """
    choosing = observe(model, data.choosing, each=each, progress=progress)
    judging = observe(model, data.judging, each=each, progress=progress)
    measured = data.choosing.only(s for s in data.choosing.samples if relevant is None or s.task in relevant)
    can_choose = bool(measured.samples)
    return Routing(
        model_sha256=model.sha256,
        choosing_sha256=data.choosing.sha256,
        judging_sha256=data.judging.sha256,
        choosing=choosing,
        judging=judging,
        evidence=gather_evidence(choosing),
        relevance=measure_relevance(model, measured, each=each, progress=progress) if can_choose else None,
        noise=measure_noise(model, measured, each=each, progress=progress) if can_choose else None,
        versions=dict(versions),
    )
