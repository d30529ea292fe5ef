"""Every precision of given models, at a fixed and at an open size, through NVIDIA's own parser and builder.

    python -m moceir_edge.tensorrt_grid --out DIR [full=FILE slim=FILE narrowed=FILE] [--size H W] [--no-engines]

writes an artifact for each combination, `grid.json` and `grid.md`, and ends with 1 if one was refused. Without models
it takes the bundled one. Int8 and fp8 have every candidate in 8 bits (what a search leaves in float is easier to parse)
and one picture calibrates: whether a graph is accepted does not depend on it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Literal

from moceir_edge.artifacts import Proof
from moceir_edge.compress.crops import restored_crops
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import measure_ranges
from moceir_edge.compress.rounding import rounding_of
from moceir_edge.compress.safety import summed_up
from moceir_edge.compress.simulation import simulate
from moceir_edge.data.dataset import Dataset
from moceir_edge.data.samples import read_data
from moceir_edge.demonstration import MODEL
from moceir_edge.errors import InputError, MoceirEdgeError
from moceir_edge.exporting import Search, calibrate, require_target, write_model
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record
from moceir_edge.resources import bundled
from moceir_edge.targets.target import COUNT_SIZE
from moceir_edge.targets.tensorrt_recipe import BuildRecipe
from moceir_edge.targets.to_onnx import MODEL_FILE
from moceir_edge.targets.to_tensorrt import BUILD_FILE, ENGINE_FILE
from moceir_edge.terms import SIZE_MULTIPLE, GateState, Precision, TargetName

PRECISIONS = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8, Precision.FP8)
JETPACK_6_1_OPSET = 20
"""What JetPack 6.1 and later read, and no release without FP8 does; fp8 is written in it."""
SIZES: tuple[Literal["fixed", "open"], ...] = ("fixed", "open")
SMALL = (128, 128)


class Cell(Record):
    """One combination: what the parser and the builder said, and what was written.

    engine_bytes: None where no engine was asked for or made. share_in_8_bits: of MACs, in the parsed network.
    """

    model: str
    precision: Precision
    size: Literal["fixed", "open"]
    parsed: Proof
    built: Proof
    model_bytes: int
    engine_bytes: int | None
    share_in_8_bits: float | None
    seconds: float

    @property
    def refused(self) -> bool:
        """Whether the parser or the builder refused it."""
        return GateState.FAILED in (self.parsed.state, self.built.state)


class Grid(Record):
    """All combinations. models: hash of each model's file. size: height and width of the fixed one."""

    models: dict[str, str]
    size: tuple[int, int]
    versions: dict[str, str]
    cells: tuple[Cell, ...]

    @property
    def table(self) -> str:
        """As Markdown."""
        head = ("model", "precision", "size", "parsed", "built", "ONNX MB", "engine MB", "MACs in 8 bits", "s")
        lines = [head, tuple("---" for _ in head), *map(_row, self.cells)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(cell: Cell) -> tuple[str, ...]:
    engine = "–" if cell.engine_bytes is None else f"{cell.engine_bytes / 1e6:.1f}"
    share = "–" if cell.share_in_8_bits is None else f"{100 * cell.share_in_8_bits:.0f} %"
    states = (state.value.replace("_", " ") for state in (cell.parsed.state, cell.built.state))
    sizes = (f"{cell.model_bytes / 1e6:.1f}", engine, share, f"{cell.seconds:.0f}")
    return (cell.model, cell.precision, cell.size, *states, *sizes)


def measure_grid(
    models: Mapping[str, LoadedModel],
    size: tuple[int, int],
    out: Path,
    *,
    engines: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Grid:
    """Export every combination below `out`, which must not exist; MissingBackendError without TensorRT."""
    calibration = Dataset(read_data(bundled("calibration", "demo")).samples[:1])
    require_target(recipe_of(Precision.FLOAT32, "fixed", size, engines=engines))
    out.mkdir(parents=True)
    cells: list[Cell] = []
    versions: dict[str, str] = {}
    for (name, model), precision, kind in product(models.items(), PRECISIONS, SIZES):
        recipe, start = recipe_of(precision, kind, size, engines=engines), time.monotonic()
        folder = out / f"{name}-{precision}-{kind}"
        folder.mkdir()
        search = Search(plan=every_candidate(model, recipe, calibration)) if precision.in_8_bits else Search()
        exported = write_model(model, recipe, calibration, folder, search=search).exported
        engine = folder / ENGINE_FILE
        cells.append(
            Cell(
                model=name,
                precision=precision,
                size=kind,
                parsed=exported.proofs.parsed,
                built=exported.proofs.built,
                model_bytes=(folder / MODEL_FILE).stat().st_size,
                engine_bytes=engine.stat().st_size if engine.exists() else None,
                share_in_8_bits=_share_in_8_bits(folder, exported.proofs.parsed),
                seconds=time.monotonic() - start,
            )
        )
        versions |= exported.versions
        refused = next((p.reason for p in (cells[-1].parsed, cells[-1].built) if p.state is GateState.FAILED), "")
        say(f"{folder.name}: {f'refused: {refused}' if refused else cells[-1].parsed.reason}")
    hashes = {name: model.sha256 for name, model in models.items()}
    grid = Grid(models=hashes, size=size, versions=versions, cells=tuple(cells))
    grid.write(out / "grid.json")
    (out / "grid.md").write_text(grid.table + "\n", encoding="utf-8")
    return grid


def _share_in_8_bits(folder: Path, parsed: Proof) -> float | None:
    """That of the planned convolutions: a network that passed has each of them between layers of its own."""
    plan = BuildRecipe.read(folder / BUILD_FILE).plan
    if not plan.integer or parsed.state is not GateState.PASSED:
        return None
    return sum(plan.integer.values()) / plan.macs


def recipe_of(precision: Precision, kind: Literal["fixed", "open"], size: tuple[int, int], *, engines: bool) -> Recipe:
    """What one combination asks for; an open float16 ends at twice the fixed size, or its islands take minutes."""
    said: dict[str, object] = {
        "target": TargetName.TENSORRT,
        "precision": precision,
        "size": size if kind == "fixed" else "dynamic",
        "tensorrt": {"deliver": "engine" if engines else "onnx", "workspace_mib": 8192},
    }
    if precision.in_8_bits:
        said["quantize"] = {"pictures": 1, "crop": min(size)}
    if precision is Precision.FP8:
        said["opset"] = JETPACK_6_1_OPSET
    if precision is Precision.FLOAT16 and kind == "open":
        said["overflow_size"] = [2 * side for side in size]
    return Recipe.model_validate(said)


def every_candidate(model: LoadedModel, recipe: Recipe, calibration: Dataset) -> PrecisionPlan:
    """A plan with every convolution in 8 bits that can be."""
    program = lower(model.network, guard=recipe.guard)
    crops = calibrate(program, calibration, recipe)
    ranges = measure_ranges(program, crops, [1.0] * len(crops), rounding=rounding_of(recipe))
    references = restored_crops(program, crops)
    effects = simulate(program, ranges, crops, references, rounding=rounding_of(recipe))
    counts = macs_by_operation(program, *(recipe.fixed_size or COUNT_SIZE))
    share = sum(counts[name] for name in ranges) / sum(counts.values())
    return PrecisionPlan(integer=ranges, skipped=(), integer_share=share, simulated=summed_up(crops, effects))


def models_from(words: Sequence[str]) -> dict[str, LoadedModel]:
    """Models from NAME=FILE; the bundled one where there is none."""
    named = [word.partition("=") for word in words] or [("full", "=", str(MODEL))]
    for name, sign, file in named:
        if not (name.isidentifier() and sign and file):
            raise InputError(f"'{name}{sign}{file}' is no model", "give NAME=FILE, as in slim=slim.safetensors")
    return {name: load(file) for name, _, file in named}


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--size", type=int, nargs=2, default=SMALL, metavar=("H", "W"))
    parser.add_argument("--no-engines", action="store_true", help="parse, and build nothing")
    options = parser.parse_args(words)
    try:
        if options.out.exists():
            raise InputError(f"{options.out} exists", "give a folder that does not")
        if any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in options.size):
            raise InputError(f"size {options.size[0]} {options.size[1]}", f"give multiples of {SIZE_MULTIPLE}")
        models, engines = models_from(options.models), not options.no_engines
        height, width = options.size
        grid = measure_grid(models, (height, width), options.out, engines=engines, say=_say)
    except MoceirEdgeError as error:
        _say(str(error))
        return error.exit_code
    sys.stdout.write(grid.table + "\n")
    return int(any(cell.refused for cell in grid.cells))


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
