"""Post-training int8 of an ONNX graph: NNCF quantizes weights and corrects biases, the precision plan says where.

The ranges of what convolutions read and write are the plan's, since NNCF knows one rule for all of them; biases are
corrected for NNCF's own, which hold all values of the crops. A convolution runs in an integer kernel only if its result
is quantized too, so results that NNCF leaves open are closed. Everything is symmetric and signed with zero points 0,
weights per output channel.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from sys import stderr
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import LEVELS, WIDE_LEVELS
from moceir_edge.errors import MissingBackendError
from moceir_edge.targets.onnx_runtime import REPAIR

Feeds = Sequence[Mapping[str, NDArray[np.float32]]]
"""Inputs by name, each for one run."""


def quantize(
    model: onnx.ModelProto,
    integer: Mapping[str, Ranges],
    feeds: Feeds,
    *,
    reduced_range: bool = False,
    bars: bool = True,
) -> onnx.ModelProto:
    """A float32 model with the `integer` convolutions between QuantizeLinear and DequantizeLinear nodes.

    feeds: what calibrates. reduced_range: weights in 7 bits (see `compress.simulation`). bars: NNCF shows its progress.
    MissingBackendError if NNCF is not installed.
    """
    with quiet_nncf(bars=bars):
        calibrated = _calibrated(model, integer, feeds, reduced_range=reduced_range)
    _sign(calibrated)
    _set_ranges(calibrated, integer)
    _close(calibrated, integer)
    _require_symmetric(calibrated)
    onnx.checker.check_model(calibrated)
    return calibrated


def _calibrated(
    model: onnx.ModelProto, integer: Mapping[str, Ranges], feeds: Feeds, *, reduced_range: bool
) -> onnx.ModelProto:
    nncf = load_nncf()
    others = [node.name for node in model.graph.node if node.name not in integer]
    parameters = nncf.quantization.advanced_parameters.QuantizationParameters
    ranges = nncf.quantization.range_estimator
    overflow = nncf.OverflowFix.ENABLE if reduced_range else nncf.OverflowFix.DISABLE
    quantized: onnx.ModelProto = nncf.quantize(
        model,
        nncf.Dataset(list(feeds)),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(feeds),
        fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=others, validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=overflow,
            # A depthwise convolution would get a scale for each channel, which no integer kernel takes.
            activations_quantization_params=parameters(per_channel=False),
            # What biases are corrected for: by default a mean over the crops clips the hardest pictures.
            activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX,
        ),
    )
    return quantized


def load_nncf() -> Any:
    """The library; MissingBackendError where it is not installed."""
    try:
        import nncf
    except ImportError as error:
        raise MissingBackendError("nncf is not installed", REPAIR) from error
    return nncf


@contextmanager
def quiet_nncf(*, bars: bool = True) -> Iterator[None]:
    """NNCF writes progress bars to stdout, which belongs to results: they go to stderr, or nowhere."""
    load_nncf()  # sets the level of its logger
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(stderr if bars else nowhere):
            yield
    finally:
        logger.setLevel(level)


def _close(model: onnx.ModelProto, integer: Mapping[str, Ranges]) -> None:
    """Quantize the results of integer convolutions that go on into float operations."""
    readers = readers_of(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        result = node.output[0]
        if node.name not in integer or all(r.op_type == "QuantizeLinear" for r in readers[result]):
            continue
        scale = np.array(integer[node.name].output / LEVELS, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{result}.scale"))
        model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), f"{result}.zero"))
        node.output[0] = f"{result}.raw"
        step = [f"{result}.scale", f"{result}.zero"]
        quantize_inputs, dequantize_inputs = [node.output[0], *step], [f"{result}.integer", *step]
        nodes.append(helper.make_node("QuantizeLinear", quantize_inputs, [f"{result}.integer"], name=f"{result}.Q"))
        nodes.append(helper.make_node("DequantizeLinear", dequantize_inputs, [result], name=f"{result}.DQ"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _sign(model: onnx.ModelProto) -> None:
    """Turn NNCF's unsigned steps of values that are never negative into signed ones; `_set_ranges` sets their size."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    for zero in {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}:
        steps = numpy_helper.to_array(arrays[zero])
        if steps.dtype == np.uint8 and not steps.any():
            arrays[zero].CopyFrom(numpy_helper.from_array(steps.astype(np.int8), zero))
    del model.graph.value_info[:]


def _set_ranges(model: onnx.ModelProto, integer: Mapping[str, Ranges]) -> None:
    """Give what integer convolutions read the steps of the plan."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.name in integer:
            step = np.array(integer[node.name].input / LEVELS, np.float32)
            read = makers[node.input[0]]
            assert read.op_type == "DequantizeLinear", f"{node.name} reads {read.op_type}"
            arrays[read.input[1]].CopyFrom(numpy_helper.from_array(step, read.input[1]))


def _require_symmetric(model: onnx.ModelProto) -> None:
    for name, zero in _zero_points(model).items():
        assert zero.dtype in (np.int8, np.int32), f"{name} has {zero.dtype} steps, not signed ones"
        assert not zero.any(), f"{name} has a non-zero zero point"


def _zero_points(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = ("QuantizeLinear", "DequantizeLinear")
    return {
        node.input[2]: numpy_helper.to_array(arrays[node.input[2]])
        for node in model.graph.node
        if node.op_type in kinds and len(node.input) > 2
    }


def unsigned_activations(model: onnx.ModelProto) -> None:
    """Shift signed activation steps by 128, in place: the same values as uint8, which x86 kernels want (u8s8)."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in _activation_zeros(model):
        shape = tuple(arrays[name].dims)
        arrays[name].CopyFrom(numpy_helper.from_array(np.full(shape, 128, np.uint8), name))
    del model.graph.value_info[:]


def wide_activations(model: onnx.ModelProto) -> None:
    """Give activations 16 bits, in place: uint16 steps over the ranges that their 8 bits had; needs opset 21."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    zeros = _activation_zeros(model)
    for name in zeros:
        shape = tuple(arrays[name].dims)
        arrays[name].CopyFrom(numpy_helper.from_array(np.full(shape, WIDE_LEVELS + 1, np.uint16), name))
    for name in {node.input[1] for node in model.graph.node if len(node.input) > 2 and node.input[2] in zeros}:
        narrow = numpy_helper.to_array(arrays[name]).astype(np.float64)
        wide = (narrow * LEVELS / WIDE_LEVELS).astype(np.float32)
        arrays[name].CopyFrom(numpy_helper.from_array(wide, name))
    del model.graph.value_info[:]


def _activation_zeros(model: onnx.ModelProto) -> set[str]:
    """Names of the zero points of activations."""
    arrays = {tensor.name for tensor in model.graph.initializer}
    activations = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    weights = {
        node.input[2]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays and len(node.input) > 2
    }
    assert not activations & weights, "a zero point is shared between weights and activations"
    return activations


def readers_of(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers


_INTEGER_KERNELS = frozenset({"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat"})


def integer_share(optimized: onnx.ModelProto, macs: Mapping[str, int]) -> float:
    """Share of MACs in integer kernels of a graph that ONNX Runtime saved after optimizing.

    macs: by operation of the program; a fused kernel keeps the name of its convolution.
    """
    return share_in_integers({node.name: node.op_type for node in optimized.graph.node}, macs)


def share_in_integers(kinds: Mapping[str, str], macs: Mapping[str, int]) -> float:
    """Share of MACs in integer kernels, by the kinds of a graph's nodes."""
    integer = {name for name, kind in kinds.items() if kind in _INTEGER_KERNELS}
    return sum(count for name, count in macs.items() if name in integer) / sum(macs.values())
