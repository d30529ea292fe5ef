"""The best rates of a device, from its profile or measured, as far as an artifact can use them.

A target runs on some kinds of units; of several that a profile knows, the fastest counts. A runtime may compute a
narrow format in a wider one that is faster there, so the best of it and the wider ones counts, but a format whose own
peak is not known has no rate: a guess is no bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import assert_never

from pydantic import Field

from moceir_edge.device_profile import DeviceProfile
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Record
from moceir_edge.terms import Precision, TargetName


class Unit(StrEnum):
    """A kind of processor."""

    CPU = "CPU"
    GPU = "GPU"
    NPU = "NPU"


_WORDS = {
    Unit.CPU: ("cpu", "core", "cores", "cortex", "neon"),
    Unit.GPU: ("gpu", "cuda", "tensor", "adreno", "mali", "shader"),
    Unit.NPU: ("npu", "dla", "tpu", "neural", "ane", "hexagon", "htp", "hailo"),
}
"""By which words a profile's units are told apart; a unit of none of them counts for every target."""

WIDER = {
    Precision.FLOAT32: (),
    Precision.FLOAT16: (Precision.FLOAT32,),
    Precision.BFLOAT16: (Precision.FLOAT32,),
    Precision.INT8: (Precision.FLOAT16, Precision.BFLOAT16, Precision.FLOAT32),
    Precision.FP8: (Precision.FLOAT16, Precision.BFLOAT16, Precision.FLOAT32),
}
"""In what else a runtime may compute a format."""

PLAIN_PROVIDERS = frozenset({"cpu", "xnnpack"})
"""Of ONNX Runtime: they compute what the file says. The others may go narrower on their own, as CUDA does with float32
unless its option `use_tf32` is off (cuda_execution_provider_info.cc in microsoft/onnxruntime)."""


class Rate(Record):
    """MACs of a format in a second at best, on the unit `what`; source: a page, or how it was measured."""

    precision: Precision
    gmacs_per_s: float
    what: str
    source: str


class Rates(Record):
    """The best of a device. pj_per_mac, pj_per_byte: energy, of main memory's bytes; what is not there is not known.

    assumed: what has to hold for the rates to be the best.
    """

    rates: tuple[Rate, ...]
    bandwidth_gb_per_s: float | None = None
    bandwidth_source: str = ""
    pj_per_mac: dict[Precision, float] = Field(default_factory=dict)
    pj_per_byte: float | None = None
    assumed: tuple[str, ...] = ()

    def of(self, precision: Precision) -> Rate | None:
        """The rate at which a format is computed at best; None where its own is not known."""
        known = {rate.precision: rate for rate in self.rates}
        if precision not in known:
            return None
        candidates = [known[each] for each in (precision, *WIDER[precision]) if each in known]
        return max(candidates, key=lambda rate: rate.gmacs_per_s)


def rates_of(profile: DeviceProfile, recipe: Recipe) -> Rates | str:
    """What an artifact of this recipe can use of a device at best, or why that cannot be said."""
    units = units_of(recipe)
    if isinstance(units, str):
        return units
    usable = [
        Rate(
            precision=peak.precision,
            gmacs_per_s=peak.gmacs_per_s.value,
            what=f"{peak.unit}, half of a rate with skipped zeros" if peak.sparse else peak.unit,
            source=peak.gmacs_per_s.source,
        )
        for peak in profile.peaks
        if kinds_of(peak.unit) & units
    ]
    bandwidth, per_byte = profile.bandwidth_gb_per_s, profile.pj_per_byte
    return Rates(
        rates=_fastest(usable),
        bandwidth_gb_per_s=None if bandwidth is None else bandwidth.value,
        bandwidth_source="" if bandwidth is None else bandwidth.source,
        pj_per_mac={precision: figure.value for precision, figure in profile.pj_per_mac.items()},
        pj_per_byte=None if per_byte is None else per_byte.value,
        assumed=tuple(_assumed(usable, units)),
    )


def units_of(recipe: Recipe) -> frozenset[Unit] | str:
    """Which units may compute an artifact, or why that is not known."""
    match recipe.target:
        case TargetName.ONNX:
            other = next((name for name in recipe.onnx_options.providers if name not in PLAIN_PROVIDERS), None)
            if other is not None:
                return f"ONNX Runtime's {other} provider chooses number formats itself"
            return frozenset({Unit.CPU})
        case TargetName.OPENVINO:
            return frozenset({Unit.CPU})
        case TargetName.TENSORRT:
            return frozenset({Unit.GPU})
        case TargetName.QNN:
            return frozenset({Unit.NPU})
        case TargetName.BROWSER:
            return frozenset({Unit.CPU, Unit.GPU} if recipe.browser_options.webgpu else {Unit.CPU})
        case TargetName.COREML:
            return frozenset(Unit)
        case _:
            assert_never(recipe.target)


def kinds_of(unit: str) -> frozenset[Unit]:
    """The kinds that a profile's unit may be: "Cortex-A76 CPU" is a CPU; all where its words say nothing.

    "tensor cores" are a GPU's, and "16-core Neural Engine" is an NPU: the words of GPUs and NPUs come first.
    """
    words = set(re.findall(r"[a-z]+", unit.lower()))
    for kind in (Unit.NPU, Unit.GPU, Unit.CPU):
        if words & set(_WORDS[kind]):
            return frozenset({kind})
    return frozenset(Unit)


def _fastest(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """One for each format."""
    best: dict[Precision, Rate] = {}
    for rate in rates:
        if rate.precision not in best or rate.gmacs_per_s > best[rate.precision].gmacs_per_s:
            best[rate.precision] = rate
    return tuple(best.values())


def _assumed(usable: Iterable[Rate], units: frozenset[Unit]) -> Iterable[str]:
    """Units that may compute the artifact, of which no peak is known in a format that another one has."""
    by_format: dict[Precision, set[Unit]] = {}
    for rate in usable:
        by_format.setdefault(rate.precision, set()).update(kinds_of(rate.what))
    for precision, known in by_format.items():
        unknown = sorted(units - known)
        if unknown:
            yield f"no {precision} peak of the {', '.join(unknown)} is known: taken to be no faster than the others"
