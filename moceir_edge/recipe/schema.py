"""What a recipe may say: one target, one precision, one size, and the limits of its gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from moceir_edge.records import Record
from moceir_edge.terms import SIZE_MULTIPLE, Precision, TargetName

FP8_OPSET = 19
"""The first whose QuantizeLinear gives FLOAT8E4M3FN."""

Side = Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)]
Size = tuple[Side, Side]


class OnnxOptions(Record):
    """ONNX Runtime: the first of `providers` that is present runs the model; CPU is always the last."""

    providers: tuple[Literal["cpu", "cuda", "directml", "coreml"], ...] = ("cpu",)


class TensorRTOptions(Record):
    """TensorRT: `onnx` is built on the device by the script that comes with it; `engine` is built here.

    norms: layer normalizations in steps, which every release reads, or as LayerNormalization between two transposes,
    which TensorRT 10 takes as one layer. Which is faster only the device tells.
    """

    deliver: Literal["onnx", "engine"] = "onnx"
    workspace_mib: Annotated[int, Field(ge=64)] = 1024
    optimization_level: Annotated[int, Field(ge=0, le=5)] = 3
    norms: Literal["steps", "native"] = "steps"


class CoreMLOptions(Record):
    """Core ML: 8-bit pictures or tensors in and out; weights stored as float16 or as 8-bit linear per channel."""

    interface: Literal["image", "tensor"] = "image"
    minimum_ios: Literal[17, 18] = 17
    weights: Literal["float16", "int8"] = "float16"


class OpenVINOOptions(Record):
    """OpenVINO: what int8 leaves in floating point; bfloat16 runs only where the CPU has it, else float32 does."""

    floats: Literal["float32", "bfloat16"] = "float32"


class BrowserOptions(Record):
    """A page for the browser: webgpu puts 27 MB beside it, which only a browser with WebGPU fetches, when asked to."""

    webgpu: bool = True


class QuantizeOptions(Record):
    """Post-training quantization: `pictures` crops of `crop` pixels calibrate; what matches `keep_float` stays float.

    keep_float: regular expressions, searched in the names of the program's operations.
    reduced_range: weights in 7 bits, exact also on x86 without VNNI, whose 8-bit kernels saturate.
    """

    pictures: Annotated[int, Field(ge=1)] = 32
    crop: Side = 128
    keep_float: tuple[str, ...] = ()
    reduced_range: bool = False


class Limit(Record):
    """A limit other than the default; a looser one needs a reason, which the report shows."""

    value: Annotated[float, Field(ge=-1000, le=1000)]
    reason: str = ""


class Limits(Record):
    """Limits of the gates that a recipe may move."""

    parity_db: Limit | None = None
    residual_snr_db: Limit | None = None
    quality_loss_db: Limit | None = None
    worst_loss_db: Limit | None = None


class Recipe(Record):
    """How a model is exported.

    size: (height, width), or "dynamic" for any multiple of 8. overflow_size: the largest picture float16 is checked at.
    golden: how many bundled pictures travel with the artifact.
    """

    target: TargetName
    precision: Precision
    size: Literal["dynamic"] | Size = "dynamic"
    opset: Annotated[int, Field(ge=17, le=21)] = 17
    guard: bool = True
    gates_input: bool = False
    golden: Annotated[int, Field(ge=1, le=8)] = 2
    overflow_size: Size | None = None
    onnx: OnnxOptions | None = None
    tensorrt: TensorRTOptions | None = None
    coreml: CoreMLOptions | None = None
    openvino: OpenVINOOptions | None = None
    browser: BrowserOptions | None = None
    quantize: QuantizeOptions | None = None
    limits: Limits = Limits()

    @property
    def fixed_size(self) -> Size | None:
        """(height, width), or None where any multiple of 8 is served."""
        return None if self.size == "dynamic" else self.size

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [f"{place[0]}: {message}" for place, message in contradictions(self.model_dump(exclude_none=True))]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def onnx_options(self) -> OnnxOptions:
        """The section, or its defaults."""
        return self.onnx or OnnxOptions()

    @property
    def tensorrt_options(self) -> TensorRTOptions:
        """The section, or its defaults."""
        return self.tensorrt or TensorRTOptions()

    @property
    def coreml_options(self) -> CoreMLOptions:
        """The section, or its defaults."""
        return self.coreml or CoreMLOptions()

    @property
    def openvino_options(self) -> OpenVINOOptions:
        """The section, or its defaults."""
        return self.openvino or OpenVINOOptions()

    @property
    def browser_options(self) -> BrowserOptions:
        """The section, or its defaults."""
        return self.browser or BrowserOptions()

    @property
    def quantize_options(self) -> QuantizeOptions:
        """The section, or its defaults."""
        return self.quantize or QuantizeOptions()


def contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    """Place and message of what does not go together; said: a recipe as plain data, its fields checked or not."""
    target, precision = said.get("target"), said.get("precision")
    for name in TargetName:
        if said.get(name) is not None and target in set(TargetName) - {name}:
            yield (name.value,), f"only for target {name}, not {target}"
    yield from _precision_contradictions(said)
    match target:
        case TargetName.OPENVINO:
            yield from _openvino_contradictions(said)
        case TargetName.COREML:
            yield from _coreml_contradictions(said)
        case TargetName.BROWSER:
            yield from _browser_contradictions(said)
        case _:
            if precision == Precision.BFLOAT16 and target is not None:
                yield ("precision",), f"bfloat16 is offered for target openvino only, not {target}"


def _precision_contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    precision, in_8_bits = said.get("precision"), (Precision.INT8, Precision.FP8)
    if said.get("quantize") is not None and precision in set(Precision) - set(in_8_bits):
        yield ("quantize",), f"only for precision int8 or fp8, not {precision}"
    if said.get("overflow_size") is not None and precision in set(Precision) - {Precision.FLOAT16}:
        yield ("overflow_size",), f"only for precision float16, not {precision}"
    if said.get("gates_input") and precision in in_8_bits:
        yield ("gates_input",), f"{precision} is calibrated with the model's own gates"
    if precision == Precision.FP8:
        yield from _fp8_contradictions(said)


def _fp8_contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    target, opset, quantize = said.get("target"), said.get("opset", 17), said.get("quantize")
    if target in set(TargetName) - {TargetName.TENSORRT}:
        yield ("precision",), f"fp8 is offered for target tensorrt only, not {target}"
    elif isinstance(opset, int) and opset < FP8_OPSET:
        yield ("opset",), f"fp8 needs {FP8_OPSET} or later, not {opset}"
    if isinstance(quantize, Mapping) and quantize.get("reduced_range"):
        yield ("quantize",), "reduced_range is for the integers of x86, not for fp8"


def _openvino_contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    precision = said.get("precision")
    if precision == Precision.FLOAT16:
        yield ("precision",), "OpenVINO's CPU computes in float32, bfloat16 or int8, not in float16"
    if said.get("openvino") is not None and precision in (Precision.FLOAT32, Precision.BFLOAT16):
        yield ("openvino",), f"only for precision int8, not {precision}"


def _browser_contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    if said.get("size", "dynamic") == "dynamic":
        yield ("size",), "the page cuts pictures into tiles of one size, as [height, width]"
    if said.get("precision") in (Precision.FLOAT16, Precision.BFLOAT16):
        yield ("precision",), "WebAssembly computes in float32 or int8"
    if said.get("gates_input"):
        yield ("gates_input",), "the page lets the model decide its own route"


def _coreml_contradictions(said: Mapping[str, Any]) -> Iterator[tuple[tuple[str], str]]:
    if said.get("size", "dynamic") == "dynamic":
        yield ("size",), "Core ML needs a fixed size, as [height, width]"
    if said.get("precision") in (Precision.INT8, Precision.BFLOAT16):
        yield ("precision",), "Core ML runs float16 or float32 here; for 8-bit weights set coreml.weights"
    if said.get("gates_input"):
        yield ("gates_input",), "not offered for Core ML"
