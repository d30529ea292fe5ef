"""Which figures of a profile an artifact can use."""

from __future__ import annotations

import pytest

from moceir_edge.device_profile import DeviceProfile
from moceir_edge.predicting.rates import Rates, Unit, kinds_of, rates_of
from moceir_edge.terms import Precision
from tests.predicting.conftest import PROFILE, peak
from tests.targets.networks import recipe

DEVICE = DeviceProfile.model_validate(
    {
        **PROFILE,
        "peaks": [
            peak("CPU, 4 cores", "float32", 2.0),
            peak("GPU, CUDA cores", "float32", 50.0),
            peak("GPU, tensor cores", "float16", 200.0),
            peak("16-core Neural Engine", "float16", 900.0),
        ],
    }
)


def found(target: str, precision: str = "float32", **fields: object) -> dict[Precision, float]:
    """G MACs a second by format."""
    rates = rates_of(DEVICE, recipe(target, precision, **fields))
    assert isinstance(rates, Rates)
    return {rate.precision: rate.gmacs_per_s for rate in rates.rates}


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("CPU", Unit.CPU),
        ("4x Cortex-A76", Unit.CPU),
        ("GPU", Unit.GPU),
        ("CUDA cores", Unit.GPU),
        ("Tensor Cores", Unit.GPU),
        ("16-core Neural Engine", Unit.NPU),
        ("Hexagon NPU", Unit.NPU),
        ("DLA", Unit.NPU),
    ],
)
def test_units_are_told_by_their_words(unit: str, kind: Unit) -> None:
    """As vendors write them."""
    assert kinds_of(unit) == {kind}


def test_a_unit_of_no_known_word_may_be_anything() -> None:
    """So that its peak keeps the bound low."""
    assert kinds_of("accelerator") == frozenset(Unit)


def test_a_target_has_the_peaks_of_its_units() -> None:
    """ONNX Runtime's CPU, TensorRT's GPU, and the fastest of all for Core ML."""
    assert found("onnx") == {Precision.FLOAT32: 2.0}
    assert found("tensorrt") == {Precision.FLOAT32: 50.0, Precision.FLOAT16: 200.0}
    assert found("coreml", "float16") == {Precision.FLOAT32: 50.0, Precision.FLOAT16: 900.0}


def test_what_has_to_hold_is_said() -> None:
    """Where a unit that may compute the artifact has no known peak."""
    rates = rates_of(DEVICE, recipe("coreml", "float16"))
    assert isinstance(rates, Rates)
    assert "no float16 peak of the CPU is known: taken to be no faster than the others" in rates.assumed
    alone = rates_of(DEVICE, recipe("onnx"))
    assert isinstance(alone, Rates)
    assert alone.assumed == ()


def test_a_provider_that_picks_its_own_formats_has_no_bound() -> None:
    """CUDA may multiply float32 in TF32."""
    reason = rates_of(DEVICE, recipe("onnx", onnx={"providers": ["cuda", "cpu"]}))
    assert reason == "ONNX Runtime's cuda provider chooses number formats itself"
