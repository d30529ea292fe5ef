"""build.json: everything that decides what TensorRT builds, for this package and for the script on the device."""

from __future__ import annotations

from collections.abc import Mapping

from moceir_edge.program.lower import IMAGE
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record
from moceir_edge.terms import Precision

Shape = tuple[int, ...]

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"

TENSORRT_8_OPERATORS = frozenset(
    {"Add", "Cast", "Concat", "Conv", "DepthToSpace", QUANTIZE, DEQUANTIZE, "Div", "Erf", "GlobalAveragePool"}
    | {"GreaterOrEqual", "MatMul", "Max", "Mul", "Pad", "ReduceMean", "ReduceSum", "Reshape", "Shape", "Sigmoid"}
    | {"Slice", "Softmax", "Sqrt", "Sub", "Transpose"}
)
"""Those of our operators that JetPack 5 reads: docs/operators.md of github.com/onnx/onnx-tensorrt, release/8.5-GA.
That table lists LayerNormalization as missing, and knows neither Gelu nor any opset above 17."""

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
    for the GPU that builds. detailed: keep layer details for the engine inspector.
    """

    precision: Precision
    optimization_level: int
    workspace_mib: int
    detailed: bool
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


class Jetpack(Record):
    """A release for Jetson, the TensorRT it brings, and the newest ONNX opset that one reads."""

    jetpack: str
    tensorrt: str
    opset: int


JETPACKS = (
    Jetpack(jetpack="5.1", tensorrt="8.5.2", opset=17),
    Jetpack(jetpack="6.0", tensorrt="8.6.2", opset=17),
    Jetpack(jetpack="6.1, 6.2", tensorrt="10.3", opset=20),
    Jetpack(jetpack="7.0", tensorrt="10.13", opset=24),
)
"""Versions from NVIDIA's release notes of JetPack, opsets from docs/operators.md of github.com/onnx/onnx-tensorrt."""


class BuildRecipe(Record):
    """What to build, from which file, and what a parser should find in it.

    model: an ONNX file beside build.json; expected: JetPack releases that read it; checked_with: the library whose
    parser saw it at export.
    """

    schema_version: int = 1
    model: str
    model_sha256: str
    opset: int
    flags: BuildFlags
    quantize_nodes: int
    dequantize_nodes: int
    expected: tuple[Jetpack, ...]
    checked_with: str


def build_flags(recipe: Recipe, *, ahead_of_time: tuple[str, ...]) -> BuildFlags:
    """Flags of a recipe; ahead_of_time: compute capabilities that an engine built here can serve."""
    options = recipe.tensorrt_options
    engine = options.deliver == "engine"
    return BuildFlags(
        precision=recipe.precision,
        optimization_level=options.optimization_level,
        workspace_mib=options.workspace_mib,
        detailed=not engine,
        profiles=_profiles(recipe),
        compute_capabilities=ahead_of_time if engine else (),
    )


def jetpacks(opset: int, operators: Mapping[str, int]) -> tuple[Jetpack, ...]:
    """The releases that read a graph of this opset with these operators."""
    plain = operators.keys() <= TENSORRT_8_OPERATORS
    return tuple(row for row in JETPACKS if opset <= row.opset and (plain or not row.tensorrt.startswith("8.")))


def build_recipe(
    model: str, *, sha256: str, opset: int, flags: BuildFlags, operators: Mapping[str, int], checked_with: str
) -> BuildRecipe:
    """The content of build.json for a graph with these counts of operators."""
    return BuildRecipe(
        model=model,
        model_sha256=sha256,
        opset=opset,
        flags=flags,
        quantize_nodes=operators.get(QUANTIZE, 0),
        dequantize_nodes=operators.get(DEQUANTIZE, 0),
        expected=jetpacks(opset, operators),
        checked_with=checked_with,
    )


def _profiles(recipe: Recipe) -> dict[str, Profile]:
    if recipe.fixed_size is not None:
        return {}
    largest = recipe.overflow_size or LARGEST
    tuned = tuple(min(pair) for pair in zip(TUNED, largest, strict=True))
    return {IMAGE: Profile(minimum=(1, 3, *SMALLEST), optimum=(1, 3, *tuned), maximum=(1, 3, *largest))}
