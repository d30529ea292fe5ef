"""The guard's rule: near what chose it, far from the rest, and the same numbers in every runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.guarding import FALSE_ALARMS, FEWEST_PHOTOGRAPHS, GuardRule, rule_from_scores, verdict
from moceir_edge.runner import Image

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "guard_vectors.json").read_text())
GROUPS = (np.array([[0.0, 0.2, 1.0], [0.5, 0.0, 0.0]]), np.array([[1.0, 0.2, -1.0], [0.5, 0.1, 1.0]]))


def scores(logits: np.ndarray[Any, np.dtype[np.float64]], seed: int, *, spread: float = 0.1) -> Image:
    """(2, 3) scores of a picture around some logits."""
    noisy = logits + spread * np.random.default_rng(seed).standard_normal(logits.shape)
    return (np.exp(noisy) / np.exp(noisy).sum(1, keepdims=True)).astype(np.float32)


def rule_of(pictures: list[Image]) -> GuardRule:
    """Every picture of a photograph of its own."""
    rule = rule_from_scores(pictures, [str(number) for number in range(len(pictures))])
    assert isinstance(rule, GuardRule)
    return rule


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["case"])
def test_vectors_of_all_runners(case: dict[str, Any]) -> None:
    """The shared file says what this package computes."""
    tiles = [np.array(tile, np.float64) for tile in case["tiles"]]
    found = verdict(GuardRule.model_validate(VECTORS["rule"]), [tile.astype(np.float32) for tile in tiles])
    assert found.foreign is case["foreign"]
    assert found.distance == (None if case["distance"] is None else pytest.approx(case["distance"], abs=1e-5))


def test_groups_are_known_and_what_lies_far_is_not() -> None:
    """Two kinds of rain are both the model's own; what is like neither is foreign."""
    rule = rule_of([scores(GROUPS[seed % 2], seed) for seed in range(12)])
    own = [verdict(rule, [scores(GROUPS[seed % 2], seed)]).foreign for seed in range(100, 300)]
    assert sum(own) < 30
    assert verdict(rule, [scores(np.array([[-1.0, 3.0, 0.0], [0.0, 2.0, -1.0]]), 0)]).foreign


def test_false_alarms_are_about_what_was_asked_for() -> None:
    """Of many rules from ten pictures each; the left-out estimate says the same in the mean."""
    alarms, estimates = [], []
    for start in range(0, 4000, 100):
        rule = rule_of([scores(GROUPS[0], start + seed) for seed in range(10)])
        alarms += [verdict(rule, [scores(GROUPS[0], start + seed)]).foreign for seed in range(50, 75)]
        estimates.append(rule.left_out_false_alarms)
    assert np.mean(alarms) == pytest.approx(FALSE_ALARMS, abs=0.03)
    assert np.mean([value for value in estimates if value is not None]) == pytest.approx(np.mean(alarms), abs=0.03)


def test_a_picture_in_tiles_has_their_mean() -> None:
    """The same tile twice is the tile; two opposite ones meet in the middle."""
    rule = rule_of([scores(GROUPS[0], seed) for seed in range(6)])
    tile = scores(GROUPS[0], 50)
    assert verdict(rule, [tile, tile]) == verdict(rule, [tile])


def test_two_pictures_of_one_photograph_are_one_witness() -> None:
    """They neither make up the number that a rule needs, nor vouch for each other."""
    pictures = [scores(GROUPS[0], seed) for seed in range(FEWEST_PHOTOGRAPHS)]
    twice = [*pictures, *pictures]
    assert rule_from_scores(twice[:4], ["a", "b", "a", "b"]) == (
        "2 choosing photographs are too few for a threshold, it takes 3"
    )
    once, doubled = rule_of(pictures), rule_from_scores(twice, ["a", "b", "c"] * 2)
    assert isinstance(doubled, GuardRule)
    assert doubled.threshold > 0.9 * once.threshold - 0.2
    assert doubled.threshold > 0.05


def test_few_photographs_have_no_estimate() -> None:
    """Three make a threshold; that a rule from two others would hold cannot be tried."""
    assert rule_of([scores(GROUPS[0], seed) for seed in range(3)]).left_out_false_alarms is None
    assert rule_of([scores(GROUPS[0], seed) for seed in range(4)]).left_out_false_alarms is not None
