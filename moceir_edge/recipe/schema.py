"""What a recipe may say: one target, one precision, one size, and the limits of its gates."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from moceir_edge.recipe.contradictions import contradictions
from moceir_edge.records import Record
from moceir_edge.terms import SIZE_MULTIPLE, Precision, TargetName

Side = Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)]
Size = tuple[Side, Side]


class OnnxOptions(Record):
    """ONNX Runtime: the first of `providers` that is present runs the model; CPU is always the last.

    format: `ort` is what reduced builds for phones read; it is optimized here, for every CPU, and stays as it is.
    activations: of int8; uint8 is what x86 wants, int8 what Arm and XNNPACK want. The values are the same.
    """

    providers: Annotated[
        tuple[Literal["cpu", "cuda", "directml", "coreml", "nnapi", "xnnpack"], ...], Field(min_length=1)
    ] = ("cpu",)
    format: Literal["onnx", "ort"] = "onnx"
    activations: Literal["uint8", "int8"] = "uint8"


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
    """Core ML: 8-bit pictures or tensors in and out.

    weights: stored as floats (float32 where the precision is), all in 8 bits (linear, per channel), or each layer in
    the fewest of 16, 8, 6 (palette) and 4 bits (palette) that the gates allow, which is measured. more_sizes: further
    pictures that the package takes, each as a function of its own that shares the weights; from iOS 18 on.
    """

    interface: Literal["image", "tensor"] = "image"
    minimum_ios: Literal[17, 18] = 17
    weights: Literal["float16", "int8", "smallest"] = "float16"
    more_sizes: tuple[Size, ...] = ()


class OpenVINOOptions(Record):
    """OpenVINO: what int8 leaves in floating point; bfloat16 runs only where the CPU has it, else float32 does."""

    floats: Literal["float32", "bfloat16"] = "float32"


class BrowserOptions(Record):
    """A page for the browser: webgpu puts 27 MB beside it, which only a browser with WebGPU fetches, when asked to."""

    webgpu: bool = True


Chip = Literal["snapdragon_8_gen_2", "snapdragon_8_gen_3", "snapdragon_8_elite"]
"""Chips whose NPU a context can be compiled for."""


class QnnOptions(Record):
    """Qualcomm's NPUs: the chip that the context is compiled for; another one refuses it."""

    chip: Chip = "snapdragon_8_gen_3"


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{pattern!r} is not a regular expression ({error}): write \\ before signs meant as they are"
        ) from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression."""


class QuantizeOptions(Record):
    """Post-training quantization: `pictures` crops of `crop` pixels calibrate; what matches `keep_float` stays float.

    keep_float: regular expressions, searched in the names of the program's operations.
    reduced_range: weights in 7 bits, exact also on x86 without VNNI, whose 8-bit kernels saturate.
    activation_bits: of what convolutions read and write.
    """

    pictures: Annotated[int, Field(ge=1)] = 32
    crop: Side = 128
    keep_float: tuple[Pattern, ...] = ()
    reduced_range: bool = False
    activation_bits: Literal[8, 16] = 8


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
    qnn: QnnOptions | None = None
    quantize: QuantizeOptions | None = None
    limits: Limits = Limits()

    @property
    def half(self) -> bool:
        """Whether what is not in integers, and no float32 island, runs in float16."""
        among = (TargetName.COREML, TargetName.QNN)
        return self.precision is Precision.FLOAT16 or (self.precision is Precision.INT8 and self.target in among)

    @property
    def floats(self) -> Precision:
        """What is computed in that is neither in 8 bits nor a float32 island."""
        if not self.precision.in_8_bits:
            return self.precision
        if self.target is TargetName.OPENVINO:
            return Precision(self.openvino_options.floats)
        return Precision.FLOAT16 if self.half else Precision.FLOAT32

    @property
    def only_half(self) -> bool:
        """Whether the target has nothing wider than float16, so that there can be no float32 island."""
        return self.target is TargetName.QNN

    @property
    def plans_weights(self) -> bool:
        """Whether a plan beside the model says how its weights are stored."""
        return self.target is TargetName.COREML and self.coreml_options.weights != "float16"

    @property
    def fixed_size(self) -> Size | None:
        """(height, width), or None where any multiple of 8 is served."""
        return None if self.size == "dynamic" else self.size

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = contradictions(self.model_dump(exclude_none=True))
        problems = [f"{'.'.join(place)}: {message}" for place, message in found]
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
    def qnn_options(self) -> QnnOptions:
        """The section, or its defaults."""
        return self.qnn or QnnOptions()

    @property
    def quantize_options(self) -> QuantizeOptions:
        """The section, or its defaults."""
        return self.quantize or QuantizeOptions()
