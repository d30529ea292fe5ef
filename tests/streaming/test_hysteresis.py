"""The route of a film changes when another one persists, and not before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moceir_edge.data.images import Picture, write_picture
from moceir_edge.errors import InputError, PictureError
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.network import MoceIR
from moceir_edge.opening import Opened
from moceir_edge.runner import Image, NetworkRunner, Outputs
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.flicker import FlickerMeter
from moceir_edge.streaming.frames import FrameRestorer, served_by
from moceir_edge.streaming.hysteresis import PERSISTENCE, HeldRoute, begin_route, plan_route
from moceir_edge.streaming.restore import restore
from tests.parity.fakes import noise, plain

ALL = np.ones((2, 3), bool)


def scores(*wanted: int, score: float = 0.6) -> Image:
    """(L, 3): an expert ahead in each layer."""
    found = np.full((len(wanted), 3), (1 - score) / 2, np.float32)
    found[np.arange(len(wanted)), list(wanted)] = score
    return found


def held() -> HeldRoute:
    """Expert 0 in the first layer, 1 in the second, with 0.6 each."""
    return begin_route(np.array([[0.6, 0, 0], [0, 0.6, 0]], np.float32))


def after(*wanted: tuple[int, int], served: np.ndarray = ALL) -> HeldRoute:
    """The route after frames whose routers wanted these experts."""
    route = held()
    for each in wanted:
        route = plan_route(route, scores(*each), served)
    return route


def test_noise_changes_nothing() -> None:
    """A layer goes to and fro every frame, another one wants something else one frame short of long enough."""
    route = after(*[(frame % 2, 2 if frame < PERSISTENCE - 1 else 1) for frame in range(2 * PERSISTENCE)])
    assert route.routes.tolist() == [0, 1]
    assert route.changes == 0


def test_what_persists_is_followed_layer_by_layer() -> None:
    """The first layer wants expert 2 long enough, the second is content."""
    assert after(*[(2, 1)] * (PERSISTENCE - 1)).routes.tolist() == [0, 1]
    route = after(*[(2, 1)] * PERSISTENCE)
    assert route.routes.tolist() == [2, 1]
    assert route.changes == 1
    assert route.table(3)[0].tolist() == pytest.approx([0, 0, 0.6])


def test_two_challengers_do_not_add_up() -> None:
    """It has to be the same other expert."""
    assert after(*[(1 + frame % 2, 1) for frame in range(3 * PERSISTENCE)]).changes == 0


def test_the_gate_follows_slowly() -> None:
    """A score that jumps from 0.6 to 0.9 moves it a tenth of the way in each frame."""
    route = plan_route(held(), scores(0, 1, score=0.9), ALL)
    assert route.gates.tolist() == pytest.approx([0.63, 0.63])
    assert plan_route(route, scores(0, 1, score=0.9), ALL).gates.tolist() == pytest.approx([0.657, 0.657])


def test_what_is_not_served_is_never_chosen() -> None:
    """A slim model's router may want an expert that was cut away."""
    served = np.array([[True, True, False], [False, True, False]])
    route = after(*[(2, 2)] * (2 * PERSISTENCE), served=served)
    assert all(served[layer, expert] for layer, expert in enumerate(route.routes))


def test_a_folded_layer_stays_without_a_weight() -> None:
    """No gate reaches it."""
    route = begin_route(np.array([[0, 0, 0], [0, 0.6, 0]], np.float32))
    for _ in range(2 * PERSISTENCE):
        route = plan_route(route, scores(2, 1), ALL)
    assert route.table(3)[0].tolist() == [0, 0, 0]
    assert route.changes == 0


def test_flicker_is_what_changes_where_the_film_does_not() -> None:
    """The left half stands still, and what is added there changes by 3 steps; the moving half does not count."""
    meter = FlickerMeter()
    first, second = plain(0.5, height=8, width=8), plain(0.5, height=8, width=8)
    second[:, :, 4:] += 0.3
    meter.add(first, first)
    meter.add(second, second + np.float32(3 / 255))
    assert meter.flicker.steps == pytest.approx(3, abs=1e-3)
    assert meter.flicker.pairs == 1


def test_a_moving_camera_tells_nothing_about_flicker() -> None:
    """No pixel stands still."""
    meter = FlickerMeter()
    for seed in (0, 1):
        meter.add(noise(seed), noise(seed))
    assert (meter.flicker.steps, meter.flicker.pairs) == (None, 0)


class Undecided:
    """Two experts, darker and brighter, nearly alike in score: noise in the picture decides between them."""

    size = None

    def run(self, image: Image) -> Outputs:
        return self.run_gated(image, np.zeros((1, 2), np.float32))

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        lean = float(np.sign(image[0, 0, 0] - 0.5)) * 0.01
        own = np.array([[0.5 + lean, 0.5 - lean]], np.float32)
        chosen = gates if gates.any() else np.where(own == own.max(), own, 0)
        return Outputs(image + np.float32(0.1 * np.sign(chosen[0, 0] - chosen[0, 1])), 1.0, own, chosen=chosen)


def test_a_held_route_flickers_less() -> None:
    """Frame by frame the picture would jump by 51 steps; held, it stands still."""
    runner = Undecided()
    restorer = FrameRestorer(Budget(Opened(Path("a"), runner, steered=runner), None))
    for number in range(12):
        frame = plain(0.5)
        frame[0, 0, 0] += 0.004 if number % 2 else -0.004
        restorer.restore(frame)
    film = restorer.film
    assert film.route_held
    assert film.changes == 0
    assert film.flicker_held is not None
    assert film.flicker_by_frame is not None
    assert film.flicker_held.steps == pytest.approx(0, abs=1e-3)
    assert film.flicker_by_frame.steps == pytest.approx(51, abs=0.1)


def test_a_network_says_which_experts_it_serves(golden_tiny: MoceIR) -> None:
    """All four, in each layer."""
    runner = NetworkRunner(golden_tiny)
    chosen = runner.run(plain()).chosen
    assert chosen is not None
    assert served_by(runner, chosen, None).all()


def sequence(folder: Path, count: int = 3) -> Path:
    """A folder of frames."""
    for number in range(count):
        write_picture(Picture(noise(number, height=24, width=32)), folder / f"{number:04}.png")
    return folder


def test_a_folder_is_restored_as_a_film(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """With --sequence its frames share a route; each becomes a file as before."""
    save(LoadedModel(golden_tiny, "golden"), tmp_path / "model.safetensors")
    frames = sequence(tmp_path / "frames")
    result = restore(tmp_path / "model.safetensors", [frames], tmp_path / "out", sequence=True)
    film = result.films[str(frames)]
    assert (film.frames, film.route_held) == (3, True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0000.png", "0001.png", "0002.png"]
    assert len(result.written) == 3


def test_a_sequence_of_another_size_is_refused(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """The frame is named; a picture by itself is none."""
    save(LoadedModel(golden_tiny, "golden"), tmp_path / "model.safetensors")
    frames = sequence(tmp_path / "frames")
    with pytest.raises(InputError, match="is no sequence"):
        restore(tmp_path / "model.safetensors", [frames / "0000.png"], tmp_path / "out", sequence=True)
    write_picture(Picture(noise(0, height=32, width=32)), frames / "0002.png")
    with pytest.raises(PictureError, match=r"0002\.png: is 32x32, and the frames before it 32x24"):
        restore(tmp_path / "model.safetensors", [frames], tmp_path / "out", sequence=True)
