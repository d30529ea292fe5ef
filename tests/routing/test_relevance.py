"""Relevance: experts that matter are told from experts that are only used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.samples import read_data
from moceir_edge.metrics import psnr_db, quality_db
from moceir_edge.network.checkpoint import LoadedModel, load
from moceir_edge.network.network import KEEP, SHORTCUT, MoceIR
from moceir_edge.routing.crops import CROP, Crop, Replay, over_crops
from moceir_edge.routing.relevance import EVERYWHERE, IDLE_DB, Verdict, measure_relevance
from moceir_edge.runner import pad
from moceir_edge.sharing import alone
from moceir_edge.terms import Task, silent
from tests.golden import drawn_pictures

ROUTES = [
    (KEEP, KEEP, KEEP, KEEP, KEEP),
    (3, KEEP, KEEP, KEEP, KEEP),
    (KEEP, KEEP, SHORTCUT, KEEP, KEEP),
    (KEEP, KEEP, KEEP, KEEP, 1),
    (0, 1, 2, 3, SHORTCUT),
]


@pytest.mark.parametrize("routes", ROUTES)
def test_replay_equals_a_whole_run(golden_tiny: MoceIR, routes: tuple[int, ...]) -> None:
    """Restarting the decoder in its middle gives the same picture as a run from the start."""
    image = drawn_pictures(2, height=44, width=50)[1].numpy()
    replay = Replay(golden_tiny, image)
    with torch.inference_mode():
        whole = golden_tiny(torch.from_numpy(pad(image, (48, 56)))[None], forced=torch.tensor([routes]))
    assert np.array_equal(replay.forced(routes), whole.image[0, :, :44, :50].numpy())


def test_changes_are_those_of_forced_routes(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """Mean and worst change of PSNR, the number of pictures that took another route, and the parity."""
    model = LoadedModel(golden_tiny, "golden")
    rainy = pictures.of([Task.DERAIN])
    relevance = measure_relevance(model, rainy, per_task=3)
    assert len(relevance.pictures) == 3
    row = relevance.of(Task.DERAIN, golden_tiny.architecture.layers[1])
    assert row is not None
    chosen = rainy.only(sample for sample in rainy.samples if sample.name in relevance.pictures)

    def replayed(crop: Crop) -> tuple[Crop, Replay]:
        return crop, Replay(golden_tiny, crop.image)

    replays = [pair for _, pair in over_crops(replayed, chosen, "", each=alone, progress=silent)]
    for replacement in (0, 1, 2, 3, None):
        route = SHORTCUT if replacement is None else replacement
        others = [(crop, replay) for crop, replay in replays if replay.routes[1] != route]
        change = row.change(replacement)
        if not others:
            assert change is None
            continue
        assert change is not None
        results = [(crop, replay, replay.forced((KEEP, route, KEEP, KEEP, KEEP))) for crop, replay in others]
        expected = [quality_db(c.target, new) - quality_db(c.target, r.restored) for c, r, new in results]  # type: ignore[arg-type]
        assert change.n == len(others)
        assert change.mean_db == pytest.approx(np.mean(expected))
        assert change.worst_db == pytest.approx(min(expected))
        assert change.parity_db == pytest.approx(min(psnr_db(r.restored, new) for _, r, new in results))


def test_without_targets_only_parity_is_known(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """No PSNR is made up, and the verdict is unknown."""
    relevance = measure_relevance(LoadedModel(golden_tiny, "golden"), pictures.of([Task.DEHAZE]))
    for row in relevance.layers:
        assert row.verdict is Verdict.UNKNOWN
        assert all(change.mean_db is None and change.worst_db is None for change in row.changes)
        assert any(change.parity_db is not None for change in row.changes)


def test_all_layers_are_replaced_at_once_too(golden_tiny: MoceIR, pictures: Dataset) -> None:
    """Each expert everywhere, and none."""
    relevance = measure_relevance(LoadedModel(golden_tiny, "golden"), pictures, per_task=1)
    row = relevance.of(Task.DERAIN, EVERYWHERE)
    assert row is not None
    assert [change.replacement for change in row.changes] == [0, 1, 2, 3, None]


def test_the_trained_tiny_model_has_idle_experts(shared: Path) -> None:
    """Swapping or removing any expert changes nothing worth measuring, though routes differ between tasks."""
    data = read_data(shared / "data" / "test", tasks=(Task.DERAIN, Task.LOWLIGHT))
    relevance = measure_relevance(load(shared / "reference" / "tiny" / "last.ckpt"), data, per_task=1)
    assert {row.verdict for row in relevance.layers} == {Verdict.IDLE}
    assert relevance.crop == CROP
    for row in relevance.layers:
        assert all(abs(change.mean_db) <= IDLE_DB for change in row.changes if change.mean_db is not None)
