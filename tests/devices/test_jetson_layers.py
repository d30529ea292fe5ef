"""Reading the engine inspector's JSON, on layers that were published for each release, cut to what is read.

8.5: tools/experimental/trt-engine-explorer/tests/inputs/mobilenet_v2_residuals.qat.onnx.engine.graph.json and
     examples/pytorch/resnet/A100/qat-residual-qgap of github.com/NVIDIA/TensorRT
8.6: github.com/NVIDIA/TensorRT/issues/3737
9.1: github.com/NVIDIA/TensorRT/issues/3583
10.1: github.com/NVIDIA/TensorRT/issues/4020 (the container 24.06)
11: docs.nvidia.com/deeplearning/tensorrt/11.3.0, "Migrating IEngineInspector Usage from TensorRT 10.x to 11.x", which
    shows "DataType" for the tensors of the network; that of layers is taken to be the same
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.devices.scripts import script

layers = script("build_layers")

INT8 = "Thirty-two wide channel vectorized row major Int8 format"
FLOAT = "Row major linear FP32"

RELEASE_8_5 = [
    {
        "Name": "QuantizeLinear_2",
        "LayerType": "Reformat",
        "Inputs": [{"Name": "inputs.1", "Format/Datatype": FLOAT}],
        "Outputs": [{"Name": "433", "Format/Datatype": "Four wide channel vectorized row major Int8 format"}],
        "ParameterType": "Reformat",
        "Origin": "QDQ",
    },
    {
        "Name": "features.0.0.weight + QuantizeLinear_7 + Conv_9 + PWN(Clip_13)",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "433", "Format/Datatype": "Four wide channel vectorized row major Int8 format"}],
        "Outputs": [{"Name": "449", "Format/Datatype": INT8}],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Int8", "Count": 864},
        "TacticName": "volta_int8x4_icudnn_int8x4_128x32_relu_xregs_small_c32_nn_v1",
    },
    {
        "Name": "features.1.conv.0.0.weight + QuantizeLinear_21 + Conv_23 + PWN(Clip_27)",
        "LayerType": "CudaDepthwiseConvolution",
        "Inputs": [{"Name": "449", "Format/Datatype": INT8}],
        "Outputs": [{"Name": "465", "Format/Datatype": INT8}],
        "ParameterType": "Convolution",
        "Groups": 32,
        "Weights": {"Type": "Int8", "Count": 288},
    },
    {
        "Name": "conv1.weight + QuantizeLinear_70 + Conv_99 + MaxPool_12",
        "LayerType": "ConvActPool",
        "Inputs": [{"Name": "onnx::DequantizeLinear_125", "Format/Datatype": "Row major Int8 format"}],
        "Outputs": [{"Name": "onnx::DequantizeLinear_140", "Format/Datatype": INT8}],
        "ParameterType": "ConvActPool",
        "ConvWeights": {"Type": "Int8", "Count": 9408},
    },
]

RELEASE_8_6 = [
    {
        "Name": "/model.22/cv2.1/conv/Conv + /model.22/cv2.1/act/Relu || /model.22/cv3.1/conv/Conv",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "/model.18/cv2/act/Relu_output_0", "Format/Datatype": INT8}],
        "Outputs": [{"Name": "joined", "Format/Datatype": INT8}],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Int8", "Count": 165888},
    },
]

RELEASE_10 = [
    {
        "Name": "Reformatting CopyNode for Input Tensor 0 to resnetv15_conv0_fwd + resnetv15_batchnorm0_fwd",
        "LayerType": "Reformat",
        "Inputs": [{"Name": "data", "Format/Datatype": FLOAT}],
        "Outputs": [{"Name": "copy", "Format/Datatype": "Row major Int8 format"}],
        "ParameterType": "Reformat",
        "StreamId": 0,
        "Metadata": "",
    },
    {
        "Name": "resnetv15_stage1_conv2_fwd + resnetv15_stage1_batchnorm2_fwd + resnetv15_stage1_relu1_fwd",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "resnetv15_stage1_activation0", "Format/Datatype": INT8}],
        "Outputs": [{"Name": "resnetv15_stage1_relu1_fwd", "Format/Datatype": INT8}],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Int8", "Count": 36864},
        "StreamId": 0,
        "Metadata": "[ONNX Layer: resnetv15_stage1_conv2_fwd]\u001e[ONNX Layer: resnetv15_stage1_batchnorm2_fwd]",
    },
    {
        "Name": "p2o.Conv.20 + p2o.BatchNormalization.20 + p2o.Add.10 + p2o.Relu.18",
        "LayerType": "CaskGemmConvolution",
        "Inputs": [{"Name": "relu_17.tmp_0", "Format/Datatype": "Channel major FP32 format where channel % 4 == 0"}],
        "Outputs": [{"Name": "relu_18.tmp_0", "Format/Datatype": "Channel major FP32 format where channel % 4 == 0"}],
        "ParameterType": "Convolution",
        "Weights": {"Type": "Float", "Count": 65536},
        "TacticName": "sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize64x128x16_stage4",
        "Metadata": "[ONNX Layer: p2o.Conv.20]\u001f[ONNX Layer: p2o.BatchNormalization.20]",
    },
]

RELEASE_11 = [
    {
        "Name": "__myl_Conv_7",
        "LayerType": "gemm",
        "Inputs": [{"Name": "input_0", "DataType": "Int8", "Format": "Row major linear (kLINEAR)"}],
        "Outputs": [{"Name": "output_0", "DataType": "Half", "Format": "Row major linear (kLINEAR)"}],
        "Metadata": "[ONNX Layer: enc.0.proj]",
    },
]


def told(found: list[Any]) -> str:
    """What the inspector gives for an engine of these layers."""
    return json.dumps({"Layers": found, "Bindings": ["input", "output"]})


def planned(plan: dict[str, Any], precision: str = "int8") -> dict[str, Any]:
    """The part of build.json that is read."""
    return {"plan": plan, "flags": {"precision": precision}}


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (RELEASE_8_5, {"Conv_9": "int8", "Conv_23": "int8", "Conv_99": "int8", "QuantizeLinear_2": None}),
        (RELEASE_8_6, {"/model.22/cv2.1/conv/Conv": "int8", "/model.22/cv3.1/conv/Conv": "int8"}),
        (RELEASE_10, {"resnetv15_stage1_conv2_fwd": "int8", "p2o.Conv.20": "float32", "resnetv15_conv0_fwd": None}),
        (RELEASE_11, {"enc.0.proj": "int8"}),
    ],
    ids=["8.5", "8.6", "10", "11"],
)
def test_published_layers_are_read(release: list[Any], expected: dict[str, str | None]) -> None:
    """Names joined or tracked, two convolutions in one layer, pooling fused in: each is found in its own type."""
    assert layers.convolution_types(layers.layers_in(told(release)), expected) == expected


def test_open_sizes_are_judged_by_the_weights() -> None:
    """Without a size the inspector knows no formats; what the kernel weighs with, it says."""
    unknown = "N/A due to dynamic shapes"
    layer = dict(RELEASE_8_6[0], Inputs=[{"Format/Datatype": unknown}], Outputs=[{"Format/Datatype": unknown}])
    found = layers.convolution_types([layer], ["/model.22/cv3.1/conv/Conv"])
    assert found == {"/model.22/cv3.1/conv/Conv": "int8"}
    account = layers.account(told([layer]), planned({"integer": {}, "macs": 1, "islands": ["norm"]}))
    assert account["summary"] == (
        "0 of 1 float32 islands (not: norm not listed); 1 layers whose types are not known without a size"
    )


def test_quantized_input_alone_is_no_integer_kernel() -> None:
    """A layer that reads integers and weighs with floats is named as what it is."""
    layer = dict(RELEASE_8_5[1], Weights={"Type": "Half", "Count": 864})
    assert layers.convolution_types([layer], ["Conv_9"]) == {"Conv_9": "int8 with weights in float16"}


def test_a_layer_that_only_quantizes_is_not_its_convolution() -> None:
    """The layer before may hold the quantizing node of a convolution: a name that begins the same is another one."""
    before = dict(RELEASE_10[2], Metadata="[ONNX Layer: p2o.Conv.20.Q]", Name="a + p2o.Conv.20.Q")
    assert layers.convolution_types([before], ["p2o.Conv.20"]) == {"p2o.Conv.20": None}


def test_account_names_what_is_not_as_planned() -> None:
    """Counted by convolution and by work, with the type of each other one."""
    plan = {"integer": {"resnetv15_stage1_conv2_fwd": 60, "p2o.Conv.20": 20, "gone": 5}, "macs": 100, "islands": []}
    found = layers.account(told(RELEASE_10), planned(plan))
    assert found["integer"]["others"] == {"p2o.Conv.20": "float32", "gone": "not listed"}
    assert found["integer"]["macs_share"] == pytest.approx(0.6)
    assert found["summary"] == (
        "int8: 1 of 3 planned convolutions, 60 % of MACs (not: gone not listed, p2o.Conv.20 float32)"
    )


def test_fp8_is_held_against_fp8() -> None:
    """In an artifact of fp8 an int8 kernel is as little what was planned as a float one."""
    engine = [
        dict(RELEASE_10[1], Weights={"Type": "FP8"}, Inputs=[{"Format/Datatype": "Row major FP8"}]),
        RELEASE_8_6[0],
    ]
    plan = {"integer": {"resnetv15_stage1_conv2_fwd": 60, "/model.22/cv3.1/conv/Conv": 20}, "macs": 100, "islands": []}
    found = layers.account(told(engine), planned(plan, "fp8"))
    assert found["summary"] == ("fp8: 1 of 2 planned convolutions, 60 % of MACs (not: /model.22/cv3.1/conv/Conv int8)")


def test_islands_are_looked_up_with_their_steps() -> None:
    """An island of several steps counts if one of them gives float32; one that gives float16 is named."""
    half = "Channel major FP16 format where channel % 8 == 0"
    engine = [
        {"Name": "enc.0.norm.mean", "LayerType": "Reduce", "Inputs": [], "Outputs": [{"Format/Datatype": FLOAT}]},
        {
            "Name": "enc.1.norm",
            "LayerType": "kgen",
            "Inputs": [{"Format/Datatype": FLOAT}],
            "Outputs": [{"Format/Datatype": half}],
        },
    ]
    plan = {"integer": {}, "macs": 100, "islands": ["enc.0.norm", "enc.1.norm", "enc.10.norm"]}
    found = layers.account(told(engine), planned(plan))
    assert found["islands"]["others"] == {"enc.1.norm": "float16", "enc.10.norm": "not listed"}
    assert found["summary"] == "1 of 3 float32 islands (not: enc.1.norm float16, enc.10.norm not listed)"


def test_blocks_that_hide_their_layers_are_said() -> None:
    """TensorRT 8 compiles some parts as one, and names only their ends."""
    block = {"Name": "{ForeignNode[enc.0.a...dec.1.b]}", "LayerType": "Myelin", "Inputs": [], "Outputs": []}
    plan = {"integer": {"enc.0.a": 1}, "macs": 1, "islands": []}
    found = layers.account(told([block]), planned(plan))
    assert found["integer"]["others"] == {"enc.0.a": "not listed"}
    assert found["summary"].endswith("1 blocks whose layers are not listed")


@pytest.mark.parametrize(
    ("information", "reason"),
    [
        (told(["[trainStation1]", "/backbone/conv1/_input_quantizer/QuantizeLinear"]), "names only"),
        ("no JSON", "no list of layers"),
        ("[]", "no list of layers"),
        ("{}", "no list of layers"),
    ],
)
def test_what_says_nothing_is_an_error(information: str, reason: str) -> None:
    """An engine built without details gives no account, and is not counted as one of other types."""
    with pytest.raises(layers.UnreadableError, match=reason):
        layers.account(information, planned({"integer": {}, "macs": 1, "islands": []}))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (FLOAT, "float32"),
        ("Half", "float16"),
        ("BFloat16", "bfloat16"),
        ("Row major linear BF16", "bfloat16"),
        ("Int8", "int8"),
        ("Row major linear FP8", "fp8"),
        ("Float8E4M3", "fp8"),
        ("E4M3FN", "fp8"),
        ("Bool", None),
        ("N/A due to dynamic shapes", None),
    ],
)
def test_words_for_types(text: str, kind: str | None) -> None:
    """Each release words them in its own way."""
    assert layers.type_of(text) == kind
