"""What does not go together in a recipe: said of plain data, so that every problem is found at once, with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moceir_edge.terms import Precision, TargetName

Contradictions = Iterator[tuple[tuple[str, ...], str]]
"""Place and message of each."""

FP8_OPSET = 19
"""The first whose QuantizeLinear gives FLOAT8E4M3FN."""


def contradictions(said: Mapping[str, Any]) -> Contradictions:
    """Place and message of what does not go together; said: a recipe as plain data, its fields checked or not."""
    words = {key: value for key in ("target", "precision") if isinstance(value := said.get(key), str)}
    said = {**said, "target": None, "precision": None, **words}
    target = said["target"]
    for name in TargetName:
        if said.get(name) is not None and target in set(TargetName) - {name}:
            yield (name.value,), f"only for target {name}, not {target}"
    yield from _precision_contradictions(said)
    if target is not None:
        yield from next((found for name, found in _OF_TARGET.items() if name == target), _no_bfloat16)(said)
    if target is not None and target != TargetName.QNN and _activation_bits(said) not in (None, 8):
        yield ("quantize",), f"16-bit activations are offered for target qnn only, not {target}"


def _precision_contradictions(said: Mapping[str, Any]) -> Contradictions:
    precision, in_8_bits = said.get("precision"), (Precision.INT8, Precision.FP8)
    if said.get("quantize") is not None and precision in set(Precision) - set(in_8_bits) and not _searched(said):
        yield ("quantize",), f"only for precision int8 or fp8, not {precision}"
    if said.get("overflow_size") is not None and precision in set(Precision) - {Precision.FLOAT16}:
        yield ("overflow_size",), f"only for precision float16, not {precision}"
    if said.get("gates_input") and precision in in_8_bits:
        yield ("gates_input",), f"{precision} is calibrated with the model's own gates"
    if precision == Precision.FP8:
        yield from _fp8_contradictions(said)


def _fp8_contradictions(said: Mapping[str, Any]) -> Contradictions:
    target, opset, quantize = said.get("target"), said.get("opset", 17), said.get("quantize")
    if target in set(TargetName) - {TargetName.TENSORRT}:
        yield ("precision",), f"fp8 is offered for target tensorrt only, not {target}"
    elif isinstance(opset, int) and opset < FP8_OPSET:
        yield ("opset",), f"fp8 needs {FP8_OPSET} or later, not {opset}"
    if isinstance(quantize, Mapping) and quantize.get("reduced_range"):
        yield ("quantize",), "reduced_range is for the integers of x86, not for fp8"


def _no_bfloat16(said: Mapping[str, Any]) -> Contradictions:
    if said.get("precision") == Precision.BFLOAT16 and said.get("target") is not None:
        yield ("precision",), f"bfloat16 is offered for target openvino only, not {said['target']}"


def _onnx_contradictions(said: Mapping[str, Any]) -> Contradictions:
    yield from _no_bfloat16(said)
    precision, options = said.get("precision"), said.get("onnx")
    if not isinstance(options, Mapping):
        return
    if options.get("activations") == "int8" and precision in set(Precision) - {Precision.INT8}:
        yield ("onnx", "activations"), f"only for precision int8, not {precision}"
    if said.get("size", "dynamic") == "dynamic":
        yield from _wanting_a_size(options)
    if options.get("format") != "ort":
        return
    if precision == Precision.FLOAT16:
        yield ("precision",), "format ort is written by this CPU, which turns float16 into float32: take format onnx"
    if precision == Precision.INT8 and options.get("providers") not in (None, ["cpu"], ("cpu",)):
        yield ("onnx", "providers"), "format ort has the CPU's integer kernels in it: for others take format onnx"


def _wanting_a_size(options: Mapping[str, Any]) -> Contradictions:
    providers = options.get("providers")
    named = [name for name in ("nnapi", "xnnpack") if isinstance(providers, (list, tuple)) and name in providers]
    for what in (*named, *(["format ort"] if options.get("format") == "ort" else [])):
        yield ("size",), f"{what} needs a fixed size, as [height, width]"


def _openvino_contradictions(said: Mapping[str, Any]) -> Contradictions:
    precision = said.get("precision")
    if precision == Precision.FLOAT16:
        yield ("precision",), "OpenVINO's CPU computes in float32, bfloat16 or int8, not in float16"
    if said.get("openvino") is not None and precision in (Precision.FLOAT32, Precision.BFLOAT16):
        yield ("openvino",), f"only for precision int8, not {precision}"


def _browser_contradictions(said: Mapping[str, Any]) -> Contradictions:
    if said.get("size", "dynamic") == "dynamic":
        yield ("size",), "the page cuts pictures into tiles of one size, as [height, width]"
    if said.get("precision") in (Precision.FLOAT16, Precision.BFLOAT16):
        yield ("precision",), "WebAssembly computes in float32 or int8"
    if said.get("gates_input"):
        yield ("gates_input",), "the page lets the model decide its own route"


def _qnn_contradictions(said: Mapping[str, Any]) -> Contradictions:
    if said.get("size", "dynamic") == "dynamic":
        yield ("size",), "the NPU's compiler needs a fixed size, as [height, width]"
    if said.get("precision") in (Precision.FLOAT32, Precision.BFLOAT16):
        yield ("precision",), "the NPU computes in float16, or in int8 with float16 in between"
    if said.get("gates_input"):
        yield ("gates_input",), "not offered for target qnn"
    if said.get("opset") not in (None, 17, 21):
        yield ("opset",), "target qnn writes opset 21, whose 16-bit integers it needs; leave it out"
    quantize = said.get("quantize")
    if isinstance(quantize, Mapping) and quantize.get("reduced_range"):
        yield ("quantize", "reduced_range"), "is for x86, not for Qualcomm's NPUs"


def _activation_bits(said: Mapping[str, Any]) -> Any:
    options = said.get("quantize")
    return options.get("activation_bits") if isinstance(options, Mapping) else None


def _searched(said: Mapping[str, Any]) -> bool:
    """Whether calibration pictures decide how the weights of a Core ML package are stored."""
    options = said.get("coreml")
    return isinstance(options, Mapping) and options.get("weights") == "smallest"


def _coreml_contradictions(said: Mapping[str, Any]) -> Contradictions:
    precision, found = said.get("precision"), said.get("coreml")
    options: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if said.get("size", "dynamic") == "dynamic":
        yield ("size",), "Core ML needs a fixed size, as [height, width]"
    if precision == Precision.BFLOAT16:
        yield ("precision",), "Core ML runs float16, float32 or int8, not bfloat16"
    if said.get("gates_input"):
        yield ("gates_input",), "not offered for Core ML"
    weights = options.get("weights", "float16")
    if weights == "int8" and precision == Precision.FLOAT32:
        yield ("coreml", "weights"), "8 bits cannot keep the 80 dB of float32 (71 measured): set precision to float16"
    if weights in ("int8", "smallest") and precision == Precision.INT8:
        yield ("coreml", "weights"), "precision int8 stores the weights of its convolutions in 8 bits: leave this out"
    if weights == "smallest" and precision == Precision.FLOAT32:
        yield ("coreml", "weights"), "smallest is judged by the gates of float16: set precision to float16"
    quantize = said.get("quantize")
    if isinstance(quantize, Mapping) and quantize.get("reduced_range"):
        yield ("quantize", "reduced_range"), "is for x86, not for Core ML"
    yield from _size_contradictions(said.get("size"), options)


def _size_contradictions(size: Any, options: Mapping[str, Any]) -> Contradictions:
    more = options.get("more_sizes")
    if not isinstance(more, list | tuple) or not more:
        return
    if options.get("minimum_ios", 17) != 18:
        yield ("coreml", "more_sizes"), "a package of several sizes needs minimum_ios 18: for 17, export one per size"
    sizes = [list(one) for one in (size, *more) if isinstance(one, list | tuple)]
    if any(one in sizes[:number] for number, one in enumerate(sizes)):
        yield ("coreml", "more_sizes"), "a size is there twice"


_OF_TARGET: Mapping[TargetName, Callable[[Mapping[str, Any]], Contradictions]] = {
    TargetName.ONNX: _onnx_contradictions,
    TargetName.OPENVINO: _openvino_contradictions,
    TargetName.COREML: _coreml_contradictions,
    TargetName.BROWSER: _browser_contradictions,
    TargetName.QNN: _qnn_contradictions,
}
