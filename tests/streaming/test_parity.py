"""Tiles of a picture of one megapixel come close to the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Photograph

from moceir_edge.data.images import PictureSamples
from moceir_edge.demonstration import MODEL
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import load
from moceir_edge.opening import Opened
from moceir_edge.resources import resource
from moceir_edge.runner import NetworkRunner, run_padded
from moceir_edge.streaming.budget import Budget, network_memory
from moceir_edge.streaming.picture import Restorer


@pytest.mark.slow
def test_one_megapixel_in_tiles_is_the_whole() -> None:
    """The trained tiny network, in the tiles that 1.5 GB allow for it: at least 45 dB, unclipped before 16 bits."""
    with Photograph.open(resource("calibration") / "pictures" / "coffee.png") as small:
        large = np.asarray(small.convert("RGB").resize((1248, 832), Photograph.Resampling.BICUBIC))
    model, picture = load(MODEL), PictureSamples(large)
    runner = NetworkRunner(model.network)
    memory = network_memory(model.network.architecture, parameters=model.parameters)
    opened = Opened(Path("tiny"), runner, model=model, steered=runner)
    samples, cut = Restorer(Budget(opened, memory)).restore(picture, bits=16)
    assert cut is not None
    assert cut.decided_at is not None
    whole = np.clip(run_padded(runner, picture.region(0, 0, picture.size)).restored, 0, 1)
    assert psnr_db(whole, samples.transpose(2, 0, 1).astype(np.float32) / 65535) >= 45
