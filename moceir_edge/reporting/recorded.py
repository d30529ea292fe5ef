"""A run folder as it lies there, whole or not: its Records, its raw JSON, and what is missing or does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from moceir_edge.artifacts import FILE_NAME, Artifact
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.weight_plan import WEIGHTS_FILE, WeightPlan
from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.guard_calibration import GuardFacts
from moceir_edge.parity.reference import Reference
from moceir_edge.parity.verify import Verification
from moceir_edge.records import Record
from moceir_edge.reporting.contents import UNITS, Number, resolve
from moceir_edge.reporting.facts import DataFacts, ModelFacts, SlimFacts
from moceir_edge.routing.routing import Routing
from moceir_edge.targets.coreml_units import UNITS_FILE, ComputeUnits
from moceir_edge.targets.to_onnx import PLAN_FILE

R = TypeVar("R", bound=Record)
DASH = "–"

PROFILES = "profiles"
"""Folder of a run that keeps what `profile` wrote."""


@dataclass(frozen=True)
class RecipeRun:
    """What a run has of one recipe; folder: the name of the artifact's folder, empty before it has one.

    beside: the folder of what lies beside the model: `precision`, `weights`, `units`; precision_name: where `precision`
    stands among the documents.
    """

    name: str
    folder: str
    artifact: Artifact | None
    judged: Artifact | None
    verification: Verification | None
    precision: PrecisionPlan | None
    precision_name: str
    beside: str = ""
    weights: WeightPlan | None = None
    units: ComputeUnits | None = None


@dataclass(frozen=True)
class Run:
    """documents: raw JSON by path without ending; profiles: what devices said; missing, unfit: sentences."""

    folder: Path
    documents: Mapping[str, Any]
    model: ModelFacts | None
    data: DataFacts | None
    routing: Routing | None
    slim: SlimFacts | None
    guard: GuardFacts | None
    references: Mapping[str, Reference]
    recipes: tuple[RecipeRun, ...]
    profiles: Mapping[str, ProfileResult]
    missing: tuple[str, ...]
    unfit: tuple[str, ...]

    def number(self, key: str, form: str = "z.2f", unit: str = "") -> Number:
        """The number at a place, in a format and unit (see `UNITS`); a dash for null."""
        value = resolve(self.documents, key)
        exact = json.dumps(value)
        if value is None:
            return Number(key, exact, DASH)
        shown = value if UNITS[unit] == 1.0 else value * UNITS[unit]
        return Number(key, exact, f"{shown:{form}} {unit}".strip())


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: dict[str, Any] = {}
        self.missing: list[str] = []

    def record(self, name: str, kind: type[R], *, needed: bool = True) -> R | None:
        path = self.folder / f"{name}.json"
        if not path.is_file():
            if needed:
                self.missing.append(f"{name}.json is not there: that stage has not run, or did not finish")
            return None
        try:
            value = kind.read(path)
        except ArtifactError as error:
            self.missing.append(f"{name}.json cannot be used: {error.what.removeprefix(f'{path}: ')}")
            return None
        self.documents[name] = json.loads(path.read_bytes())
        return value

    def recipe(self, name: str) -> RecipeRun:
        found = [folder for folder in (name, f"{name}.failed") if (self.folder / folder / FILE_NAME).is_file()]
        artifact = self.record(f"export-{name}", Artifact)
        verification = self.record(f"verify-{name}", Verification)
        folder = found[0] if found and verification is not None else ""
        beside = folder or f"candidates/{name}"
        precision_name = f"{beside}/{Path(PLAN_FILE).stem}"
        return RecipeRun(
            name=name,
            folder=folder,
            artifact=artifact,
            judged=self.record(f"{folder}/{Path(FILE_NAME).stem}", Artifact) if folder else None,
            verification=verification,
            precision=self.record(precision_name, PrecisionPlan, needed=False),
            precision_name=precision_name,
            beside=beside,
            weights=self.record(f"{beside}/{Path(WEIGHTS_FILE).stem}", WeightPlan, needed=False),
            units=self.record(f"{beside}/{Path(UNITS_FILE).stem}", ComputeUnits, needed=False),
        )

    def profiles(self) -> dict[str, ProfileResult]:
        names = [f"{PROFILES}/{path.stem}" for path in sorted((self.folder / PROFILES).glob("*.json"))]
        found = {name: self.record(name, ProfileResult) for name in names}
        return {name: result for name, result in found.items() if result is not None}


def read_run(folder: Path) -> Run:
    """Read what is there; InputError if nothing of a run is."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "give the folder of a run, as `pipeline` makes it")
    names = recipe_names(folder)
    reader = _Reader(folder)
    model, data = reader.record("model", ModelFacts), reader.record("data", DataFacts)
    routing, slim = reader.record("routing", Routing), reader.record("slim", SlimFacts)
    guard = reader.record("guard", GuardFacts)
    if not names:
        reader.missing.append("no recipe has been exported")
    recipes = tuple(reader.recipe(name) for name in names)
    references = {
        path.stem: reference
        for path in sorted(folder.glob("reference*.json"))
        if (reference := reader.record(path.stem, Reference)) is not None
    }
    if not reader.documents:
        raise InputError(f"{folder}: nothing of a run is here", "give the folder of a run, as `pipeline` makes it")
    return Run(
        folder=folder,
        documents=reader.documents,
        model=model,
        data=data,
        routing=routing,
        slim=slim,
        guard=guard,
        references=references,
        recipes=recipes,
        profiles=reader.profiles(),
        missing=tuple(reader.missing),
        unfit=_unfit(model, routing, slim, recipes),
    )


def recipe_names(folder: Path) -> tuple[str, ...]:
    """Recipes that a run has exported or verified."""
    paths = [*folder.glob("export-*.json"), *folder.glob("verify-*.json")]
    return tuple(sorted({path.stem.partition("-")[2] for path in paths}))


def _unfit(
    model: ModelFacts | None, routing: Routing | None, slim: SlimFacts | None, recipes: tuple[RecipeRun, ...]
) -> tuple[str, ...]:
    """Which files were made from others than those that lie here; a killed run with new inputs leaves such."""
    pairs: list[tuple[str, str, str | None, str | None]] = []
    if model is not None and routing is not None:
        pairs.append(("routing.json", "model", routing.model_sha256, model.sha256))
    if routing is not None and slim is not None:
        pairs.append(("slim.json", "routing.json", slim.plan.routing_sha256, routing.sha256))
    for recipe in recipes:
        if slim is not None and recipe.artifact is not None:
            made_from = recipe.artifact.origin.model_sha256
            pairs.append((f"export-{recipe.name}.json", "slim model", made_from, slim.model_sha256))
        if recipe.judged is not None and recipe.verification is not None:
            same = recipe.judged.gates == recipe.verification.gates
            pairs.append((f"{recipe.folder}/{FILE_NAME}", f"verify-{recipe.name}.json", str(same), str(True)))
    return tuple(
        f"{what} was made from another {source}: run the pipeline again" for what, source, a, b in pairs if a != b
    )
