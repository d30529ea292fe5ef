"""A picture in tiles has one route: that of the picture made small."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.data.images import Picture, PictureSamples, read_picture, write_picture
from moceir_edge.metrics import psnr_db
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.network import MoceIR
from moceir_edge.opening import Opened, open_path
from moceir_edge.runner import Image, NetworkRunner, Outputs
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.decision import shrunk
from moceir_edge.streaming.picture import Restorer
from moceir_edge.streaming.restore import restore
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.tiling import Whole
from tests.parity.fakes import noise
from tests.streaming.artifacts import large_picture, written


def test_a_picture_is_made_small_by_means() -> None:
    """By the least whole number with which it fits into a tile; what is left over goes."""
    image = noise(0, height=70, width=101)
    small = shrunk(Whole(image), (40, 40))
    assert small.shape == (3, 23, 33)
    np.testing.assert_allclose(small[:, 22, 32], image[:, 66:69, 96:99].mean((1, 2)), atol=1e-6)
    np.testing.assert_array_equal(shrunk(Whole(image), (72, 104)), image)
    assert shrunk(Whole(noise(0, height=1, width=300)), (64, 64)).shape == (3, 1, 60)


@dataclass
class Wavering:
    """Restores by its gate, which its routers would choose by the brightness of what they see: of two experts."""

    size: tuple[int, int] | None = None
    given: list[Image] = field(default_factory=list)

    def run(self, image: Image) -> Outputs:
        return self.run_gated(image, np.zeros((1, 2), np.float32))

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        self.given.append(gates)
        bright = float(image.mean())
        scores = np.array([[1 - bright, bright]], np.float32)
        chosen = gates if gates.any() else np.where(scores == scores.max(), scores, 0)
        return Outputs(np.full_like(image, chosen.sum()), 1.0, scores, chosen=chosen)


def halves(height: int = 200, width: int = 400) -> PictureSamples:
    """Left dark, right bright; bright on the whole."""
    samples = np.full((height, width, 3), 50, np.uint8)
    samples[:, width // 3 :] = 230
    return PictureSamples(samples)


def test_tiles_take_the_route_of_the_whole() -> None:
    """Each would have weighed its expert by its own brightness; handed one gate, all are alike, and it is told."""
    runner, picture = Wavering(), halves()
    mean = picture.region(0, 0, picture.size).mean()
    steered = Restorer(Budget(Opened(Path("a"), runner, steered=runner), None, tile=128))
    samples, cut = steered.restore(picture, bits=8)
    assert cut is not None
    assert (cut.tiles, cut.decided_at) == (8, (50, 100))
    assert len(np.unique(samples)) == 1
    assert samples[0, 0, 0] == pytest.approx(mean * 255, abs=3)  # padding counts, too
    assert cut.same_choice == 0.75  # two of eight tiles see the dark third
    alone, told = Restorer(Budget(Opened(Path("a"), runner), None, tile=128)).restore(picture, bits=8)
    assert told is not None
    assert told.decided_at is None
    assert len(np.unique(alone)) > 2


def test_a_whole_picture_decides_for_itself() -> None:
    """No pass before it."""
    runner = Wavering()
    _, cut = Restorer(Budget(Opened(Path("a"), runner, steered=runner), None)).restore(halves(), bits=8)
    assert cut is None
    assert len(runner.given) == 1


@pytest.mark.skipif(TARGET.missing() is not None, reason=f"not here: {TARGET.missing()}")
def test_models_and_artifacts_hand_their_gates_on(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """A model and the artifact that takes gates restore a picture in tiles alike; one that takes none says so."""
    write_picture(Picture(large_picture(200, 300), 16), tmp_path / "a.png")
    save(LoadedModel(golden_tiny, "golden"), tmp_path / "model.safetensors")
    gated = written(TARGET, golden_tiny, tmp_path / "gated", gates_input=True)
    plain = written(TARGET, golden_tiny, tmp_path / "plain")
    made, cuts = {}, {}
    for name, path in (("model", tmp_path / "model.safetensors"), ("gated", gated), ("plain", plain)):
        result = restore(path, [tmp_path / "a.png"], tmp_path / "out" / name, tile=192)
        made[name] = read_picture(tmp_path / "out" / name / "a.png").pixels
        cuts[name] = result.cut[str(tmp_path / "a.png")]
    assert psnr_db(made["model"], made["gated"]) > 80
    assert cuts["model"].decided_at == cuts["gated"].decided_at == (100, 150)
    assert cuts["model"].same_choice == cuts["gated"].same_choice
    assert cuts["plain"].decided_at is None
    assert cuts["plain"].same_choice is not None


@pytest.mark.skipif(TARGET.missing() is not None, reason=f"not here: {TARGET.missing()}")
def test_an_artifact_that_takes_gates_restores_by_itself(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """Nobody has to give them: it is the network's picture."""
    opened = open_path(written(TARGET, golden_tiny, tmp_path / "gated", gates_input=True))
    image = large_picture(64, 96)
    assert psnr_db(NetworkRunner(golden_tiny).run(image).restored, opened.runner.run(image).restored) > 80
