"""What a MODEL or ARTIFACT is: architecture, sizes, work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from moceir_edge.artifacts import artifact_sha256, read_artifact
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.network.architecture import size_name
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs, macs_by_operation
from moceir_edge.records import Record
from moceir_edge.targets.to_onnx import PLAN_FILE


class Inspection(Record):
    """What a MODEL or ARTIFACT is; MACs at `size` (height, width), with all kept experts computed.

    made_from: sha256 of the model an artifact was exported from.
    placement: in what each group of convolutions of an int8 artifact runs, and why.
    """

    path: str
    kind: Literal["model", "artifact"]
    name: str
    sha256: str
    parameters: int
    expert_parameters: int | None
    parameters_by_expert: dict[str, dict[int, int]] | None
    macs: int
    macs_by_expert: dict[int, int] | None
    size: tuple[int, int]
    layers: dict[str, str]
    tasks: tuple[str, ...]
    made_from: str | None = None
    verified: bool | None = None
    placement: dict[str, str] | None = None
    files: dict[str, int] | None = None


def inspect(path: Path, *, size: tuple[int, int] = (256, 256)) -> Inspection:
    """Describe a model file or an artifact folder."""
    if path.is_dir():
        artifact = read_artifact(path)
        return Inspection(
            path=str(path),
            kind="artifact",
            name=f"{artifact.target}, {artifact.precision}",
            sha256=artifact_sha256(path),
            parameters=artifact.counts.parameters,
            expert_parameters=None,
            parameters_by_expert=None,
            macs=artifact.counts.macs,
            macs_by_expert=None,
            size=artifact.counts.size,
            layers={},
            tasks=artifact.tasks,
            made_from=artifact.origin.model_sha256,
            verified=artifact.verified,
            placement=_placement(path),
            files={name: entry.size_bytes for name, entry in artifact.files.items()},
        )
    model = load(path)
    architecture = model.architecture
    by_expert = {
        name: {index: _expert_parameters(model, name, index) for index in block.kept}
        for name, block in architecture.routed()
    }
    layers = {name: f"keeps {block.kept} serves {block.served}" for name, block in architecture.routed()}
    return Inspection(
        path=str(path),
        kind="model",
        name=size_name(architecture),
        sha256=model.sha256,
        parameters=model.parameters,
        expert_parameters=sum(sum(counts.values()) for counts in by_expert.values()),
        parameters_by_expert=by_expert,
        macs=macs(lower(model.network), *size),
        macs_by_expert=_macs_by_expert(model, size),
        size=size,
        layers=layers,
        tasks=tuple(model.provenance.get("tasks", ())),
    )


def _placement(artifact: Path) -> dict[str, str] | None:
    path = artifact / PLAN_FILE
    if not path.is_file():
        return None
    return {group.name: f"{group.chosen.choice}: {group.reason}" for group in PrecisionPlan.read(path).groups}


def _expert_parameters(model: LoadedModel, layer: str, index: int) -> int:
    prefix = f"{layer}.adapter.experts.{index}."
    return sum(value.numel() for name, value in model.network.named_parameters() if name.startswith(prefix))


def _macs_by_expert(model: LoadedModel, size: tuple[int, int]) -> dict[int, int]:
    counts = macs_by_operation(lower(model.network), *size)
    indices = sorted({index for _, block in model.architecture.routed() for index in block.kept})
    return {i: sum(n for name, n in counts.items() if f".adapter.experts.{i}." in name) for i in indices}
