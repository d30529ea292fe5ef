"""Frames one after the other, as a film: one route, held until another one persists, and its flicker measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from moceir_edge.errors import PictureError
from moceir_edge.opening import Opened
from moceir_edge.records import Record
from moceir_edge.runner import Image, Runner, Steered, TakesGates, run_padded
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.decision import shrunk
from moceir_edge.streaming.flicker import Flicker, FlickerMeter
from moceir_edge.streaming.hysteresis import HeldRoute, begin_route, plan_route
from moceir_edge.streaming.shortage import within_memory
from moceir_edge.terms import SIZE_MULTIPLE
from moceir_edge.tile_plan import Size
from moceir_edge.tiling import Whole, restored_bands
from moceir_edge.watching import Watched, forgotten_if_failed

Made = TypeVar("Made")

COMPARED = 24
"""Frames from the first on that are also restored as if they stood alone, for the flicker without a held route."""


class Film(Record):
    """What became of a film. route_held: whether the model lets the route be held; changes: how often a layer changed.

    flicker: as written; flicker_by_frame: of the first frames, had every frame decided its own route, and
    flicker_held of the same frames as written; None where nothing can be held. left_out: what the input holds and the
    output does not, in words.
    """

    frames: int
    route_held: bool
    changes: int
    flicker: Flicker
    flicker_held: Flicker | None
    flicker_by_frame: Flicker | None
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.route_held:
            return f"{self.frames} frames, {self.flicker.text}; the model lets nobody hold its route"
        assert self.flicker_held is not None
        assert self.flicker_by_frame is not None
        both = f"{self.flicker_held.text}, and {self.flicker_by_frame.text} had each frame decided for itself"
        return f"{self.frames} frames, {self.changes} changes of an expert, {self.flicker.text} (at the start {both})"


@dataclass
class FrameRestorer:
    """Restores the frames of one film, in order.

    strength: 0 gives the frame back, 1 the restored one.
    """

    budget: Budget
    strength: float = 1.0
    say: Callable[[str], None] = lambda _: None
    frames: int = 0
    _size: Size | None = None
    _held: HeldRoute | None = None
    _served: NDArray[np.bool_] | None = None
    _tile: Size | None = None
    _written: FlickerMeter = field(default_factory=FlickerMeter)
    _compared: tuple[FlickerMeter, FlickerMeter] = field(default_factory=lambda: (FlickerMeter(), FlickerMeter()))

    @property
    def _opened(self) -> Opened:
        return self.budget.opened

    def restore(self, frame: Image, name: str = "the frame") -> Image:
        """(3, H, W) float32 in [0, 1] to the same, not clipped.

        PictureError, which calls it by `name`, for one of another size than those before it.
        """
        size = (frame.shape[1], frame.shape[2])
        self._size = self._size or size
        if size != self._size:
            raise PictureError(
                f"{name} is {size[1]}x{size[0]}, and the frames before it {self._size[1]}x{self._size[0]}",
                "restore frames of one size together, and others by themselves",
            )
        tile = self._tile or self.budget.tile_for(size, bits=8)
        if not self.frames:
            _, tile = self._within_memory(lambda tile: self._decide(frame, tile), tile)
        restored, self._tile = self._within_memory(lambda tile: self._restored(frame, tile), tile)
        mixed: Image = frame + np.float32(self.strength) * (restored - frame)
        self._measure(frame, mixed, self._tile)
        self.frames += 1
        return mixed

    def _within_memory(self, attempt: Callable[[Size], Made], tile: Size) -> tuple[Made, Size]:
        def once(tile: Size) -> Made:
            with forgotten_if_failed(self._opened.runner):
                return attempt(tile)

        return within_memory(once, tile, fixed=self._opened.runner.size is not None, say=self.say)

    def _decide(self, frame: Image, tile: Size) -> None:
        """The route that is held from the first frame on, where the model lets it be held."""
        steered = self._opened.steered
        if steered is None:
            return
        chosen = run_padded(self._opened.runner, shrunk(Whole(frame), tile)).chosen
        if chosen is not None and chosen.any():
            self._held, self._served = begin_route(chosen), served_by(steered, chosen, self._opened.runner.size)

    def _restored(self, frame: Image, tile: Size) -> Image:
        steered = self._opened.steered
        if steered is None or self._held is None:
            return _in_tiles(self._opened.runner, frame, tile)[0]
        assert self._served is not None
        gates = self._held.table(self._served.shape[1])
        restored, scores = _in_tiles(Steered(steered, gates, self._opened.runner.size), frame, tile)
        if scores is not None:
            self._held = plan_route(self._held, scores, self._served)
        return restored

    def _measure(self, frame: Image, mixed: Image, tile: Size) -> None:
        self._written.add(frame, mixed)
        if self._held is None or self.frames >= COMPARED:
            return
        alone = frame + np.float32(self.strength) * (_in_tiles(self._opened.runner, frame, tile)[0] - frame)
        for meter, restored in zip(self._compared, (mixed, alone), strict=True):
            meter.add(frame, restored)

    @property
    def film(self) -> Film:
        """Of the frames so far."""
        held = self._held is not None
        return Film(
            frames=self.frames,
            route_held=held,
            changes=self._held.changes if self._held is not None else 0,
            flicker=self._written.flicker,
            flicker_held=self._compared[0].flicker if held else None,
            flicker_by_frame=self._compared[1].flicker if held else None,
        )


def served_by(steered: TakesGates, chosen: Image, size: Size | None) -> NDArray[np.bool_]:
    """(L, E): the experts that may be chosen; those of which a weight of 1 is taken, asked on a black picture."""
    given = np.ones_like(chosen)
    black = np.zeros((3, *(size or (SIZE_MULTIPLE, SIZE_MULTIPLE))), np.float32)
    taken = steered.run_gated(black, given).chosen
    assert taken is not None
    return taken > 0


def _in_tiles(runner: Runner, frame: Image, tile: Size) -> tuple[Image, Image | None]:
    """The restored frame, and the mean scores (L, E) of its tiles, None without any."""
    watched = Watched(runner)
    bands = [band for _, band in restored_bands(partial(run_padded, watched), Whole(frame), tile)]
    scores: Image | None = np.stack(watched.scores).mean(0) if watched.scores else None
    return np.concatenate(bands, axis=1), scores
