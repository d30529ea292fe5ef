"""The artifact: a folder with a model, its contract, its proofs and its golden pictures, described by artifact.json."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from moceir_edge.errors import ArtifactError
from moceir_edge.guarding import GuardRule
from moceir_edge.memory import Memory
from moceir_edge.records import Record, Skipped, sha256_of_file, sha256_of_value
from moceir_edge.terms import GateState, Precision, TargetName

SCHEMA_VERSION = 1
FILE_NAME = "artifact.json"


class Tensor(Record):
    """An input or output; a dimension is a number, or "height" or "width" (any multiple of 8)."""

    name: str
    shape: tuple[int | Literal["height", "width"], ...]
    meaning: str


class Interface(Record):
    """How to call the model: NCHW float32 in [0, 1], batch 1; `caller` says what the caller has to do."""

    inputs: Annotated[tuple[Tensor, ...], Field(min_length=1)]
    outputs: tuple[Tensor, ...]
    caller: str = "output pixel = round(255 * clip(restored, 0, 1)); pad to a served size by reflection and crop back"


class FileEntry(Record):
    """A file of the artifact."""

    sha256: str
    size_bytes: int


class Proof(Record):
    """What was shown here; no field stands in for another. A reason says why something was not run, or how."""

    state: GateState = GateState.NOT_RUN
    reason: str = ""


class Proofs(Record):
    """parsed: the vendor's parser accepts it; built: the vendor's builder made it; emulated: its arithmetic was
    reproduced here; executed: its runtime ran it on this machine; executed_on_device: on the device it is for.
    """

    parsed: Proof = Proof()
    built: Proof = Proof()
    emulated: Proof = Proof()
    executed: Proof = Proof()
    executed_on_device: Proof = Proof(reason="not verified on a device")


class GateResult(Record):
    """A gate with its value and limit; `step` is the row it judges, `value` is None where it did not run."""

    step: str
    gate: str
    state: GateState
    value: float | None
    limit: float
    unit: str
    at_least: bool
    reason: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        value = "not run" if self.value is None else f"{self.value:.3f} {self.unit}".strip()
        sign = ">=" if self.at_least else "<="
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.step}: {self.gate} {value}, limit {sign} {self.limit:g} {self.unit}".rstrip() + because


class Golden(Record):
    """A picture (uint8 .npy, NCHW) and the reference's output for it (float32 .npy, NCHW, not clipped)."""

    name: str
    task: str
    input: str
    reference: str


class Origin(Record):
    """Hashes of what the artifact was made from; None where a step was not used."""

    checkpoint_sha256: str
    model_sha256: str
    routing_sha256: str | None = None
    calibration_sha256: str | None = None
    judging_sha256: str | None = None


class Counts(Record):
    """Sizes and work, at `size` (height, width); integer_share: share of MACs in integer kernels, None if not int8, and
    what it was counted in.
    """

    parameters: int
    size_bytes: int
    macs: int
    size: tuple[int, int]
    integer_share: float | None = None
    counted_in: str = ""


class OverflowBound(Record):
    """The largest magnitude that float16 has to hold on a picture of `size` (height, width), and who asks for it.

    bound: of results, and of sum |a||b| for whatever is added up; of the operations outside the float32 islands.
    parity_db: all of them rounded to float16, against float32; None where that was not run, or nothing differs.
    """

    picture: str
    size: tuple[int, int]
    bound: float
    operation: str
    parity_db: float | None = None


class Estimate(Record):
    """What a provider of ONNX Runtime that is not here would take of the graph, by the lists of what it knows.

    parts: pieces that the graph falls into, each a way there and back; macs_share: of all MACs, in what it takes.
    """

    provider: str
    taken: int
    operations: int
    parts: int
    macs_share: float

    @property
    def text(self) -> str:
        """One line for people."""
        return (
            f"estimated, not run: {self.provider} would take {self.taken} of {self.operations} operations "
            f"({self.macs_share:.0%} of the MACs) in {self.parts} parts"
        )


class Artifact(Record):
    """Everything artifact.json says.

    largest: height and width that an open size ends at, None where memory alone ends it.
    memory_base_mib, memory_mib_per_megapixel: see `memory`. islands: operations in float32 inside float16;
    overflow: what the others have to hold on the pictures that placed the islands.
    estimates: what runtimes that are not here would take of it. guard: which pictures it was not made for; None where
    nothing tells, with the reason among `skipped`.
    """

    schema_version: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    target: TargetName
    precision: Precision
    tasks: tuple[str, ...]
    model: str
    interface: Interface
    files: dict[str, FileEntry]
    origin: Origin
    recipe: dict[str, Any]
    versions: dict[str, str]
    counts: Counts
    proofs: Proofs
    gates: tuple[GateResult, ...] = ()
    verified: bool = False
    largest: tuple[int, int] | None = None
    memory_base_mib: float | None = None
    memory_mib_per_megapixel: float | None = None
    islands: tuple[str, ...] = ()
    overflow: tuple[OverflowBound, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    golden: tuple[Golden, ...] = ()
    guard: GuardRule | None = None

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) it serves, or None for any multiple of 8."""
        height, width = self.interface.inputs[0].shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    @property
    def memory(self) -> Memory | None:
        """What running it takes, where that was measured."""
        if self.memory_base_mib is None or self.memory_mib_per_megapixel is None:
            return None
        return Memory(base_mib=self.memory_base_mib, mib_per_megapixel=self.memory_mib_per_megapixel)


MEASURED = ("memory_base_mib", "memory_mib_per_megapixel")
"""Fields of artifact.json that are no part of an artifact's hash: they say how the machine ran it, not what it is, and
differ from run to run. A run that was killed and goes on ends with the same hash."""

LATER = ("emulated", "executed_on_device")
"""Proofs that others may write into artifact.json once it is there (`record_proof`), and no part of its hash."""


def artifact_sha256(folder: Path) -> str:
    """Hash of an artifact: of artifact.json without what was measured, and of every file that it names, as it is."""
    facts = json.loads((folder / FILE_NAME).read_bytes())
    lasting = {name: value for name, value in facts.items() if name not in MEASURED}
    lasting["proofs"] = {name: proof for name, proof in facts["proofs"].items() if name not in LATER}
    return sha256_of_value([lasting, {name: sha256_of_file(folder / name) for name in sorted(facts["files"])}])


def record_proof(folder: Path, name: Literal["emulated", "executed_on_device"], proof: Proof) -> None:
    """Write a later proof into artifact.json, where the report finds it; the artifact's hash stays what it was.

    Exporting again, or another run over the folder of the run, makes one without.
    """
    artifact = read_artifact(folder)
    proofs = artifact.proofs.model_copy(update={name: proof})
    artifact.model_copy(update={"proofs": proofs}).write(folder / FILE_NAME)


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Hash and size of every file below a folder, by relative path, without artifact.json."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileEntry(sha256=sha256_of_file(path), size_bytes=path.stat().st_size)
        for path in paths
        if path.relative_to(folder).as_posix() != FILE_NAME
    }


def read_artifact(folder: Path) -> Artifact:
    """Read and check an artifact: its schema is not newer than ours, and every file is there unaltered."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise ArtifactError(f"{folder}: not an artifact (no {FILE_NAME})", "give a folder that `export` wrote")
    try:
        raw = json.loads(path.read_bytes())
        version = raw["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ArtifactError(f"{path}: damaged: {reason}", "export the model again") from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema {version} is newer than {SCHEMA_VERSION}", "update moceir-edge")
    artifact = Artifact.read(path)
    if not any(name == artifact.model or name.startswith(f"{artifact.model}/") for name in artifact.files):
        raise ArtifactError(f"{path}: damaged: model {artifact.model} is none of its files", "export the model again")
    if len(artifact.interface.inputs[0].shape) != 4:
        raise ArtifactError(f"{path}: damaged: its first input is no picture", "export the model again")
    if artifact.guard is not None and len(artifact.guard.pictures[0]) != _scores(artifact.interface):
        raise ArtifactError(f"{path}: damaged: its guard is of other routers", "export the model again")
    for name, entry in artifact.files.items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{folder}: file {name} is missing", "export the model again")
        if sha256_of_file(file) != entry.sha256:
            raise ArtifactError(f"{folder}: file {name} was altered (its sha256 differs)", "export the model again")
    return artifact


def _scores(interface: Interface) -> int:
    """How many numbers its routers say."""
    shapes = [output.shape for output in interface.outputs if output.name == "scores"]
    return prod(side for side in shapes[0] if isinstance(side, int)) if shapes else 0
