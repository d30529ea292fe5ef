"""Reading videos: frames as pictures, upright, in order, with the packets of sound and subtitles between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moceir_edge.errors import PictureError
from moceir_edge.runner import Image
from moceir_edge.streaming.video_library import library, matrix, swing

if TYPE_CHECKING:
    import av

AGAIN = "copy or export the video again"

ALLOWED_LOSS, ALLOWED_LOSS_S = 0.05, 1.0
"""Share of what a file announces that may be absent, and the most seconds of it: announcements are rounded."""

ALLOWED_GAP_S = 0.25
"""Seconds that a last frame may last, where a file tells its length alone."""


@dataclass(frozen=True)
class Frame:
    """pixels: (3, H, W) float32 in [0, 1], upright; pts: its time in units of the stream, None where it has none.

    aspect: width of a pixel / its height, upright as the frame is; None where the file does not say.
    """

    pixels: Image
    pts: int | None
    aspect: Fraction | None = None


class VideoReader:
    """A video whose frames are read once, in order, with the packets of its sound and subtitles between them.

    carried: streams whose packets are given beside the frames; left_out: what nothing here reads, in words.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.av = path, library()
        if not path.is_file() or not path.stat().st_size:
            raise PictureError(f"{path}: the file is empty" if path.is_file() else f"{path}: no such file", AGAIN)
        with self._refusing():
            self.container = self.av.open(str(path), metadata_errors="replace")
        try:
            self.stream = self._video()
        except BaseException:
            self.container.close()
            raise
        self.stream.thread_type = "AUTO"
        self.carried: list[Any] = [*self.container.streams.audio, *self.container.streams.subtitles]
        self.left_out = [*_alpha(self.stream), *self._unread()]

    def _video(self) -> Any:
        """The stream that is restored; PictureError where nothing here decodes it."""
        streams = self.container.streams
        if not streams.video:
            raise PictureError(f"{self.path}: holds no video", "give a video")
        if streams.video[0].codec_context is None:
            raise PictureError(f"{self.path}: nothing here decodes its codec", "export it as H.264")
        return streams.video[0]

    def _unread(self) -> Iterator[str]:
        for stream in self.container.streams:
            if stream is not self.stream and stream not in self.carried:
                yield f"{stream.type} stream {stream.index}: only the first video, sound and subtitles are kept"

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """FFmpeg's errors in our words."""
        try:
            yield
        except (self.av.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise PictureError(f"{self.path}: damaged, or no video: {reason}", AGAIN) from error

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def deep(self) -> bool:
        """Whether samples have more than 8 bits."""
        kind = self.stream.codec_context.format
        return kind is not None and max(part.bits for part in kind.components) > 8

    @property
    def announced(self) -> int:
        """How many frames the file says it holds; 0 where it does not."""
        if self.stream.frames:
            return int(self.stream.frames)
        rate, length_s = self.stream.average_rate, self._length_s()
        return int(length_s * rate) if length_s and rate else 0

    def _length_s(self) -> float:
        """Of the video; the whole file's where there is nothing else in it. 0 where nothing tells."""
        if self.stream.duration:
            return float(self.stream.duration * self.stream.time_base)
        if hours := re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", self.stream.metadata.get("DURATION", "")):  # Matroska
            return 3600 * int(hours[1]) + 60 * int(hours[2]) + float(hours[3])
        alone = len(self.container.streams) == 1 and self.container.duration
        return float(self.container.duration / self.av.time_base) if alone else 0.0

    def __iter__(self) -> Iterator[Frame | av.Packet[Any]]:
        count, end_s = 0, 0.0
        with self._refusing():
            for packet in self.container.demux([self.stream, *self.carried]):
                if packet.stream is not self.stream:
                    if packet.dts is not None:
                        yield packet
                    continue
                for frame in packet.decode():
                    count, end_s = count + 1, frame.time or 0.0
                    yield Frame(self._pixels(frame), frame.pts, self._aspect(frame))
        if not count:
            raise PictureError(f"{self.path}: holds no frames", AGAIN)
        self._refuse_cut(count, end_s)

    def _refuse_cut(self, count: int, end_s: float) -> None:
        """By the number of frames, if the file tells it; else by the time at which they end."""
        announced, length_s = int(self.stream.frames), self._length_s()
        rate = float(self.stream.average_rate or 0) or announced
        if count < announced - min(ALLOWED_LOSS * announced, ALLOWED_LOSS_S * rate) - 1:
            raise PictureError(f"{self.path}: is cut short: {count} of {announced} frames", AGAIN)
        if not announced and end_s < length_s - min(ALLOWED_LOSS * length_s, ALLOWED_LOSS_S) - ALLOWED_GAP_S:
            raise PictureError(f"{self.path}: is cut short: {end_s:.1f} of {length_s:.1f} s", AGAIN)

    def _aspect(self, frame: av.VideoFrame) -> Fraction | None:
        aspect: Fraction | None = self.stream.sample_aspect_ratio or None
        return 1 / aspect if aspect is not None and _quarters(frame) % 2 else aspect

    def _pixels(self, frame: av.VideoFrame) -> Image:
        kind = "rgb48le" if self.deep else "rgb24"
        rgb = frame.reformat(
            format=kind, src_colorspace=matrix(frame), src_color_range=swing(frame), dst_color_range="JPEG"
        )
        samples = rgb.to_ndarray()
        turned = np.rot90(samples, k=_quarters(frame))
        return np.ascontiguousarray(turned.transpose(2, 0, 1)).astype(np.float32) / np.float32(
            65535 if self.deep else 255
        )


def _quarters(frame: av.VideoFrame) -> int:
    """How many quarter turns make a frame upright."""
    return round(frame.rotation / 90) % 4


def _alpha(stream: Any) -> Iterator[str]:
    """What is lost of a video with alpha: the samples say it, or, where a decoder drops it, Matroska's tag."""
    kind = stream.codec_context.format
    tagged = any(name.lower() == "alpha_mode" and value == "1" for name, value in stream.metadata.items())
    if tagged or (kind is not None and any(part.is_alpha for part in kind.components)):
        yield "alpha: the restored video is opaque"
