"""Recipes are strict: every problem at once, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.errors import RecipeError
from moceir_edge.recipe.read import read_recipe
from moceir_edge.recipe.schema import Recipe
from moceir_edge.resources import resource, resource_names
from moceir_edge.terms import Precision, TargetName

SHORTEST = "target: onnx\nprecision: float32\n"
PHONE = "target: coreml\nsize: [64, 64]\n"


def problems(folder: Path, text: str) -> list[str]:
    """What a recipe of this text is refused for, without the file's name."""
    path = folder / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path)
    assert "\n" not in caught.value.what
    assert caught.value.remedy
    return caught.value.what.replace(f"{path}:", "").split("; ")


@pytest.mark.parametrize("name", resource_names("export"))
def test_bundled_recipes_are_read(name: str) -> None:
    """Each is for one target, and survives as plain data."""
    recipe = read_recipe(resource("export") / f"{name}.yaml")
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_defaults(tmp_path: Path) -> None:
    """Two lines are a recipe."""
    (tmp_path / "r.yaml").write_text(SHORTEST)
    recipe = read_recipe(tmp_path / "r.yaml")
    assert (recipe.target, recipe.precision, recipe.opset) == (TargetName.ONNX, Precision.FLOAT32, 17)
    assert recipe.fixed_size is None
    assert recipe.guard
    assert recipe.onnx_options.providers == ("cpu",)


def test_a_size_is_height_then_width(tmp_path: Path) -> None:
    """Two multiples of 8."""
    (tmp_path / "r.yaml").write_text(f"{SHORTEST}size: [64, 96]\n")
    assert read_recipe(tmp_path / "r.yaml").fixed_size == (64, 96)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("precision: float32\n", "1: target: is missing"),
        ("target: onnx\n", "1: precision: is missing"),
        ("- onnx\n", "Input should be a valid dictionary"),
        (
            "target: tpu\nprecision: float32\n",
            "1: target: Input should be 'onnx', 'tensorrt', 'coreml'",
        ),
        ("target: [onnx]\nprecision: float32\n", "1: target: Input should be 'onnx'"),
        ("target: {onnx: 1}\nprecision: bfloat16\n", "1: target: Input should be 'onnx'"),
        ("target: 5\nprecision: int8\n", "1: target: Input should be 'onnx'"),
        ("target: [onnx]\nonnx: {}\nprecision: [int8]\nquantize: {}\n", "3: precision: Input should be"),
        (f"{SHORTEST}speed: 9\n", "3: speed: no such key"),
        (f"{SHORTEST}onnx:\n  threads: 2\n", "4: onnx.threads: no such key"),
        (f"{SHORTEST}size: [64]\n", "3: size"),
        (f"{SHORTEST}size: [64, 60]\n", "3: size"),
        (f"{SHORTEST}size: [0, 64]\n", "3: size"),
        (f"{SHORTEST}size: any\n", "3: size"),
        (f"{SHORTEST}opset: 16\n", "3: opset"),
        (f"{SHORTEST}golden: 0\n", "3: golden"),
        (f"{SHORTEST}guard: perhaps\n", "3: guard"),
        (f"{SHORTEST}onnx:\n  providers: [abacus]\n", "4: onnx.providers.0"),
        (f"{SHORTEST}onnx: {{providers: []}}\n", "onnx.providers: Tuple should have at least 1 item"),
        (f"{SHORTEST}onnx:\n  format: tflite\n", "4: onnx.format"),
        (f"{SHORTEST}onnx:\n  format: ort\n", "1: size: format ort needs a fixed size"),
        (f"{SHORTEST}size: dynamic\nonnx: {{format: ort}}\n", "3: size: format ort needs a fixed size"),
        (f"{SHORTEST}onnx: {{providers: [xnnpack]}}\n", "1: size: xnnpack needs a fixed size"),
        (f"{SHORTEST}onnx:\n  activations: int8\n", "4: onnx.activations: only for precision int8, not float32"),
        (
            "target: browser\nprecision: float32\nsize: [64, 64]\nonnx: {format: ort}\n",
            "4: onnx: only for target onnx, not browser",
        ),
        (
            "target: onnx\nprecision: float16\nsize: [64, 64]\nonnx: {format: ort}\n",
            "2: precision: format ort is written by this CPU",
        ),
        (
            "target: onnx\nprecision: int8\nsize: [64, 64]\nonnx: {format: ort, providers: [nnapi]}\n",
            "4: onnx.providers: format ort has the CPU's integer kernels",
        ),
        (f"{SHORTEST}coreml: {{weights: int8}}\n", "3: coreml: only for target coreml, not onnx"),
        (f"{SHORTEST}tensorrt: {{}}\n", "3: tensorrt: only for target tensorrt, not onnx"),
        (f"{SHORTEST}quantize: {{}}\n", "3: quantize: only for precision int8 or fp8, not float32"),
        (f"{SHORTEST}overflow_size: [64, 64]\n", "3: overflow_size: only for precision float16, not float32"),
        ("target: coreml\nprecision: float16\n", "1: size: Core ML needs a fixed size, as [height, width]"),
        ("target: coreml\nprecision: float16\nsize: dynamic\n", "3: size: Core ML needs a fixed size"),
        (
            f"{PHONE}precision: int8\ncoreml: {{weights: smallest}}\n",
            "4: coreml.weights: precision int8 stores the weights",
        ),
        (f"{PHONE}precision: float32\ncoreml: {{weights: smallest}}\n", "4: coreml.weights: smallest is judged by the"),
        (f"{PHONE}precision: float32\ncoreml: {{weights: int8}}\n", "4: coreml.weights: 8 bits cannot keep the 80 dB"),
        (
            f"{PHONE}precision: float16\ncoreml: {{weights: int4}}\n",
            "4: coreml.weights: Input should be 'float16', 'int8'",
        ),
        (
            f"{PHONE}precision: float16\ncoreml: {{minimum_ios: 16}}\n",
            "4: coreml.minimum_ios: Input should be 17 or 18",
        ),
        (
            f"{PHONE}precision: float16\ncoreml:\n  more_sizes: [[64, 96]]\n",
            "5: coreml.more_sizes: a package of several sizes needs minimum_ios 18: for 17, export one per size",
        ),
        (
            f"{PHONE}precision: float16\ncoreml:\n  minimum_ios: 18\n  more_sizes: [[64, 96], [64, 64]]\n",
            "6: coreml.more_sizes: a size is there twice",
        ),
        (
            f"{PHONE}precision: float16\ncoreml: {{minimum_ios: 18, more_sizes: [[60, 96]]}}\n",
            "4: coreml.more_sizes.0.0",
        ),
        (
            f"{PHONE}precision: float16\ncoreml: {{weights: int8}}\nquantize: {{}}\n",
            "5: quantize: only for precision int8",
        ),
        (f"{PHONE}precision: int8\nquantize: {{reduced_range: true}}\n", "4: quantize.reduced_range: is for x86"),
        ("target: coreml\nprecision: float16\nsize: [64, 64]\ngates_input: true\n", "4: gates_input: not offered"),
        ("target: onnx\nprecision: int8\ngates_input: true\n", "3: gates_input: int8 is calibrated with"),
        (
            "target: onnx\nprecision: int8\nquantize:\n  keep_float: [output, '(']\n",
            "4: quantize.keep_float.1: '(' is not a regular expression (missing ), unterminated subpattern",
        ),
        ("target: onnx\nprecision: fp8\n", "2: precision: fp8 is offered for target tensorrt only, not onnx"),
        ("target: coreml\nprecision: fp8\nsize: [64, 64]\n", "2: precision: fp8 is offered for target tensorrt only"),
        ("target: tensorrt\nprecision: fp8\n", "opset: fp8 needs 19 or later, not 17"),
        (
            "target: tensorrt\nprecision: fp8\nopset: 19\nquantize:\n  reduced_range: true\n",
            "quantize: reduced_range is for the integers of x86, not for fp8",
        ),
        ("target: onnx\nprecision: bfloat16\n", "2: precision: bfloat16 is offered for target openvino only, not onnx"),
        (
            "target: coreml\nprecision: bfloat16\nsize: [64, 64]\n",
            "2: precision: Core ML runs float16, float32 or int8",
        ),
        ("target: browser\nprecision: float16\nsize: [64, 64]\n", "2: precision: WebAssembly computes in float32"),
        ("target: browser\nprecision: float32\nsize: dynamic\n", "3: size: the page cuts pictures into tiles"),
        ("target: qnn\nprecision: float32\nsize: [64, 64]\n", "2: precision: the NPU computes in float16"),
        ("target: qnn\nprecision: float16\nsize: dynamic\n", "3: size: the NPU's compiler needs a fixed size"),
        ("target: qnn\nprecision: float16\nsize: [64, 64]\nopset: 20\n", "4: opset: target qnn writes opset 21"),
        (
            "target: qnn\nprecision: float16\nsize: [64, 64]\ngates_input: true\n",
            "4: gates_input: not offered for target qnn",
        ),
        (
            "target: qnn\nprecision: int8\nsize: [64, 64]\nquantize: {reduced_range: true}\n",
            "4: quantize.reduced_range: is for x86, not for Qualcomm's NPUs",
        ),
        (
            "target: qnn\nprecision: int8\nsize: [64, 64]\nqnn: {chip: tensor_g4}\n",
            "4: qnn.chip: ",
        ),
        (
            "target: onnx\nprecision: int8\nquantize: {activation_bits: 16}\n",
            "3: quantize: 16-bit activations are offered for target qnn only, not onnx",
        ),
        (
            "target: browser\nprecision: float32\nsize: [64, 64]\ngates_input: true\n",
            "4: gates_input: the page lets the model decide",
        ),
        ("target: openvino\nprecision: float16\n", "2: precision: OpenVINO's CPU computes in float32, bfloat16"),
        (
            "target: openvino\nprecision: bfloat16\nopenvino: {floats: float32}\n",
            "3: openvino: only for precision int8, not bfloat16",
        ),
        ("target: onnx\nprecision: int8\nopenvino: {}\n", "3: openvino: only for target openvino, not onnx"),
        (f"{SHORTEST}limits: {{parity_db: {{value: 9999}}}}\n", "less than or equal to 1000"),
        (f"{SHORTEST}limits:\n  parity_db:\n    value: 9\n", "4: limits.parity_db: a moved limit needs a reason"),
        (f"{SHORTEST}limits:\n  parity_db: {{value: 9, reason: ''}}\n", "4: limits.parity_db: a moved limit needs a"),
        (f"{SHORTEST}limits:\n  parity_db: 9\n", "4: limits.parity_db"),
        (f"{SHORTEST}limits:\n  parity_db: {{value: .nan, reason: x}}\n", "4: limits.parity_db.value"),
    ],
)
def test_problem_has_its_line(tmp_path: Path, text: str, found: str) -> None:
    """One problem, one place, what is allowed."""
    assert any(found in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Doubled, unknown, impossible and contradictory entries, and an unexplained limit."""
    text = (
        "target: onnx\nprecision: float32\ntarget: onnx\nspeed: 9\ngolden: 99\n"
        "quantize: {crop: 64}\ncoreml: {}\nlimits:\n  parity_db: {value: 2}\n"
    )
    found = problems(tmp_path, text)
    lines = sorted(int(problem.split(":")[0]) for problem in found)
    assert lines == [3, 4, 5, 6, 7, 9]


def test_a_problem_is_said_once(tmp_path: Path) -> None:
    """What the fields and the whole both refuse is one problem."""
    assert problems(tmp_path, "target: coreml\nprecision: float16\n") == [
        "1: size: Core ML needs a fixed size, as [height, width]"
    ]


def test_contradictions_are_refused_from_python_too() -> None:
    """The schema does not depend on a file."""
    with pytest.raises(ValueError, match="quantize: only for precision int8 or fp8, not float32"):
        Recipe.model_validate({"target": "onnx", "precision": "float32", "quantize": {}})


def test_missing_recipe(tmp_path: Path) -> None:
    """A path that is not there, or a folder."""
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path)
