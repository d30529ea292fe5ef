"""What Android estimates that an app has taken, from dumps that others have published."""

from __future__ import annotations

import pytest

from moceir_edge.errors import InputError
from moceir_edge.profiling.batterystats import drain_from_text, with_energy
from tests.profiling.results import result

ANDROID_8 = """  Estimated power use (mAh):
    Capacity: 3400, Computed drain: 766, actual drain: 884-918
    Screen: 149 Excluded from smearing
    Uid u0a134: 119 ( cpu=25.6 wake=0.108 radio=21.3 wifi=71.4 gps=0.0189 sensor=0.252 ) Including smearing: 219 ( screen=54.8 proportional=46.0 )
    Unaccounted: 118 ( ) Including smearing: 0 ( ) Excluded from smearing
    Uid 1000: 76.7 ( cpu=75.1 wake=0.0636 radio=0.232 wifi=0.765 sensor=0.598 ) Excluded from smearing
    Cell standby: 47.2 ( radio=47.2 ) Excluded from smearing
    Uid 0: 41.0 ( cpu=35.4 wake=1.57 radio=0.554 wifi=3.57 ) Excluded from smearing
    Uid u0a475: 35.0 ( cpu=2.92 wifi=31.2 camera=0.870 ) Including smearing: 61.9 ( screen=13.9 proportional=13.0 )

  All partial wake locks:
"""  # noqa: E501 (as it was printed) https://github.com/shadowsocks/shadowsocks-android/issues/2641

ANDROID_5 = """    Device battery use since last full charge
      Amount discharged (lower bound): 21
      Amount discharged (upper bound): 22
      Amount discharged while screen on: 0
      Amount discharged while screen off: 22

    Estimated power use (mAh):
      Capacity: 3050, Computed drain: 674, actual drain: 640-671
      Idle: 342
      Wifi: 103
      Uid 0: 81,8
      Cell standby: 68,8
      Uid 1000: 23,7
      Uid u0a72: 20,7
"""  # https://github.com/Genymobile/gnirehtet/issues/3, of a phone whose language has decimal commas


def test_drain_by_app() -> None:
    """Of the app alone: what is smeared over it from the screen is not its own."""
    found = drain_from_text(ANDROID_8)
    assert (found.capacity_mah, found.computed_mah) == (3400, 766)
    assert found.by_uid == {"u0a134": 119, "1000": 76.7, "0": 41.0, "u0a475": 35.0}


def test_decimal_commas() -> None:
    """As the phone's language writes them."""
    assert drain_from_text(ANDROID_5).by_uid == {"0": 81.8, "1000": 23.7, "u0a72": 20.7}


def test_what_follows_a_figure_is_none_of_it() -> None:
    """A comma, say, in releases that write a list behind it."""
    assert drain_from_text(ANDROID_5.replace("81,8", "81,8, fg 3")).by_uid["0"] == 81.8


def test_energy_of_a_picture() -> None:
    """mAh at the battery's voltage, over every picture that was run: the first, 40 more, a golden one."""
    energy = with_energy(result(), ANDROID_8, uid="u0a134", volts=3.85).energy
    assert energy is not None
    assert energy.mj_per_picture == pytest.approx(119 * 3.6 * 3.85 * 1e3 / 42)
    assert energy.mean_w == pytest.approx(119 * 3.6 * 3.85 / (0.020 + 40 * 0.010))
    assert "estimated by the system, not measured" in energy.source


def test_what_is_no_dump_is_refused() -> None:
    """So is an app that is not in it, and a voltage of no battery."""
    with pytest.raises(InputError, match="no estimated power use is in the dump"):
        drain_from_text("Battery History (0% used)\n")
    with pytest.raises(InputError, match="the dump has no app u0a1; give one of u0a134, 1000, 0, u0a475"):
        with_energy(result(), ANDROID_8, uid="u0a1", volts=3.85)
    with pytest.raises(InputError, match="volts are no battery"):
        with_energy(result(), ANDROID_8, uid="u0a134", volts=0)
