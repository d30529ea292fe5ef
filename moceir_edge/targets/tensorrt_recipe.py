"""build.json: everything that decides what TensorRT builds, for this package and for the script on the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import IMAGE, Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record
from moceir_edge.targets.tensorrt_releases import DEQUANTIZE, QUANTIZE, Release, has_fp8, needs, reading
from moceir_edge.terms import Precision

Shape = tuple[int, ...]

SMALLEST, TUNED, LARGEST = (8, 8), (480, 640), (1080, 1920)
"""Heights and widths of the profile where the recipe leaves the size open."""


class Profile(Record):
    """Shapes of an input: the smallest and the largest that are served, and the one that is tuned for."""

    minimum: Shape
    optimum: Shape
    maximum: Shape


class BuildFlags(Record):
    """Everything that changes an engine besides the model; part of the key of the device's cache.

    precision: TensorRT 8 needs it named, later ones read it from the model's types. tf32: off, as in the checks.
    profiles: by input, where a size is open. compute_capabilities: what an engine built ahead of time serves, none
    for the GPU that builds.
    """

    precision: Precision
    optimization_level: int
    workspace_mib: int
    profiles: dict[str, Profile]
    compute_capabilities: tuple[str, ...]
    tf32: bool = False

    @property
    def largest(self) -> tuple[int, int] | None:
        """Height and width at which an open size ends."""
        if IMAGE not in self.profiles:
            return None
        *_, height, width = self.profiles[IMAGE].maximum
        return height, width


class Plan(Record):
    """What the engine should become, by names of operations.

    integer: convolutions in 8 bits, with their multiply-accumulates; macs: those of the whole model at one size;
    islands: operations that stay in float32 inside float16.
    """

    integer: dict[str, int]
    macs: int
    islands: tuple[str, ...] = ()


class BuildRecipe(Record):
    """What to build, from which file, and what a parser should find in it.

    model: an ONNX file beside build.json; needs, expected: what it asks of a release, and the releases that have it,
    oldest first; checked_with: the library whose parser saw it at export.
    """

    schema_version: int = 2
    model: str
    model_sha256: str
    opset: int
    flags: BuildFlags
    plan: Plan
    quantize_nodes: int
    dequantize_nodes: int
    needs: tuple[str, ...]
    expected: tuple[Release, ...]
    checked_with: str


def build_flags(recipe: Recipe, *, ahead_of_time: tuple[str, ...]) -> BuildFlags:
    """Flags of a recipe; ahead_of_time: compute capabilities that an engine built here can serve."""
    options = recipe.tensorrt_options
    engine = options.deliver == "engine"

    def serves(capability: str) -> bool:
        return recipe.precision is not Precision.FP8 or has_fp8(capability)

    return BuildFlags(
        precision=recipe.precision,
        optimization_level=options.optimization_level,
        workspace_mib=options.workspace_mib,
        profiles=_profiles(recipe),
        compute_capabilities=tuple(filter(serves, ahead_of_time)) if engine else (),
    )


def build_recipe(
    model: str,
    *,
    sha256: str,
    opset: int,
    flags: BuildFlags,
    plan: Plan,
    operators: Mapping[str, int],
    checked_with: str,
) -> BuildRecipe:
    """The content of build.json for a graph with these counts of operators."""
    fp8 = flags.precision is Precision.FP8
    return BuildRecipe(
        model=model,
        model_sha256=sha256,
        opset=opset,
        flags=flags,
        plan=plan,
        quantize_nodes=operators.get(QUANTIZE, 0),
        dequantize_nodes=operators.get(DEQUANTIZE, 0),
        needs=needs(opset, operators, fp8=fp8),
        expected=reading(opset, operators, fp8=fp8),
        checked_with=checked_with,
    )


def plan_of(program: Program, integer: Iterable[str], size: tuple[int, int], *, islands: tuple[str, ...] = ()) -> Plan:
    """The plan of a program whose `integer` convolutions run in 8 bits; size: height and width that MACs count at."""
    counts = macs_by_operation(program, *size)
    return Plan(integer={name: counts[name] for name in integer}, macs=sum(counts.values()), islands=islands)


def _profiles(recipe: Recipe) -> dict[str, Profile]:
    if recipe.fixed_size is not None:
        return {}
    largest = recipe.overflow_size or LARGEST
    tuned = tuple(min(pair) for pair in zip(TUNED, largest, strict=True))
    return {IMAGE: Profile(minimum=(1, 3, *SMALLEST), optimum=(1, 3, *tuned), maximum=(1, 3, *largest))}
