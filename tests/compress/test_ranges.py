"""What 8 bits have to hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.groups import candidates
from moceir_edge.compress.ranges import measure_ranges
from moceir_edge.compress.rounding import rounded
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Builder, Kind, Program
from tests.targets.networks import crops, small_network


def passing() -> Program:
    """restored = image, by a convolution."""
    build = Builder()
    image = build.add(Kind.INPUT, "image")
    kernel = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    build.add(Kind.CONV, "only", image, constants={"weight": kernel}, groups=1)
    return Program(tuple(build.operations), {"restored": "only"}, (), 0)


def spread(largest: float, usual: float) -> Crop:
    """Uniform values up to `usual`, one of them `largest`."""
    values = np.random.default_rng(0).uniform(0, usual, (1, 3, 32, 32)).astype(np.float32)
    values.flat[0] = largest
    return Crop(values)


def worst_error(given: Sequence[Crop], tolerated: Sequence[float], span: float) -> float:
    """Error power beside what is tolerated, on the worst crop."""
    pairs = zip((torch.from_numpy(crop.image) for crop in given), tolerated, strict=True)
    return max(float((rounded(x, span) - x).square().sum() / power) for x, power in pairs)


def test_every_candidate_has_ranges() -> None:
    """Above 0, and none beyond what is read and written."""
    program = lower(small_network())
    ranges = measure_ranges(program, [Crop(crop) for crop in crops()], [1.0] * len(crops()))
    assert set(ranges) == {op.name for op in candidates(program)}
    assert 0.2 < ranges["patch_embed.proj"].input <= max(float(crop.max()) for crop in crops())


def test_values_that_are_all_large_are_held() -> None:
    """Nothing is gained by letting them saturate."""
    found = measure_ranges(passing(), [spread(1.0, 1.0)], [1.0])["only"]
    assert (found.input, found.output) == (1.0, 1.0)


def test_the_worst_crop_decides() -> None:
    """One that tolerates little beside some with a single large value: the range that serves it best lies below that,
    and stays where it is when there are more of the others.
    """
    given, tolerated = [spread(1.0, 0.5), spread(0.02, 0.02)], [1.0, 0.01]
    found = measure_ranges(passing(), given, tolerated)["only"].input
    assert found < 1.0
    near = [worst_error(given, tolerated, found * factor) for factor in (0.84, 1.0, 1.19)]
    assert near[1] == min(near)
    more = measure_ranges(passing(), given[:1] * 9 + given[1:], [1.0] * 9 + [0.01])["only"].input
    assert more == found


def test_large_crops_are_sampled_for_what_they_are() -> None:
    """As much error is seen in a large crop as there is, though not all its values are looked at."""
    small = spread(1.0, 0.5)
    large = Crop(np.tile(small.image, (1, 1, 16, 16)))
    alike = measure_ranges(passing(), [small, small], [1.0, 0.01])["only"]
    assert measure_ranges(passing(), [large, small], [256.0, 0.01])["only"] == alike
