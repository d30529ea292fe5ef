"""Normalization folded into what reads it."""

from __future__ import annotations

import pytest

from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.program.program import Kind
from tests.program.passes.rewriting import NETWORKS, PARITY_DB, SIZES, count, lowered, parity_db


@pytest.mark.parametrize("network", NETWORKS)
def test_outputs_stay(network: str) -> None:
    """The same pictures, scores and agreement, also at sizes that no window divides."""
    before = lowered(network)
    after = fold_norms(before)
    assert min(parity_db(before, after, size) for size in SIZES) > PARITY_DB


def test_only_norms_that_others_read_stay() -> None:
    """The windows' norms multiply a value: they cannot be folded. Islands stay islands."""
    before = lowered("trained tiny")
    after = fold_norms(before)
    multiplied = {name for op in before.operations if op.kind is Kind.MUL for name in op.inputs}
    expected = {op.name for op in before.operations if op.kind is Kind.NORM and op.name in multiplied}
    assert {op.name for op in after.operations if op.kind is Kind.NORM} == expected
    assert 0 < count(after, Kind.NORM) < count(before, Kind.NORM)
    assert set(before.islands) <= set(after.islands)
