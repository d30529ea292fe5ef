"""Writing videos like those that were read: codec, times, colours, sound and subtitles stay."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from moceir_edge.data.images import quantized
from moceir_edge.errors import OutputError
from moceir_edge.runner import Image
from moceir_edge.streaming.video_library import matrix, swing
from moceir_edge.streaming.video_reading import VideoReader

if TYPE_CHECKING:
    from types import ModuleType

    import av

QUALITY = {"libx264": "17", "libx265": "19", "libvpx-vp9": "20", "libsvtav1": "22"}
"""Constant quality by encoder: what is restored shall not be lost again."""


MATROSKA, SHAPELESS = ("matroska", "webm"), ("libvpx-vp9", "libsvtav1", "libvpx")
"""Where the shape of pixels is a field of the file that PyAV (18.1) does not set, and encoders that do not store it."""

OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
"""Tags of a file that say how it was written; the others, such as its title and place, stay."""

TAGS = {"language", "title"}
"""What is said of a stream that is carried over, and is still true of it."""


class VideoWriter:
    """A video of the codec, times and colours of another one; what its container cannot hold is said in `left_out`."""

    def __init__(self, path: Path, like: VideoReader) -> None:
        self.av, self.like, self.left_out = like.av, like, list(like.left_out)
        self.container = self.av.open(str(path), "w")
        self.container.metadata.update(
            {tag: text for tag, text in like.container.metadata.items() if tag.lower() not in OF_THE_FILE}
        )
        self.container.set_chapters(like.container.chapters())
        self.encoder = _encoder(like.av, like.stream.codec_context.name, self.container)
        self.stream: Any = None
        self._carried = {given.index: stream for given in like.carried if (stream := self._like(given)) is not None}
        self._early: list[Any] = []
        aspect = like.stream.sample_aspect_ratio
        if aspect not in (None, 1) and self.container.format.name in MATROSKA and self.encoder in SHAPELESS:
            shape = f"{aspect.numerator}:{aspect.denominator}"
            self.left_out.append(f"shape of pixels ({shape}): not in a file of this kind by {self.encoder}")

    def _like(self, given: Any) -> Any:
        """A stream that takes the packets of another one as they are; None where this kind of file does not."""
        context = given.codec_context
        name, what = context.name if context is not None else "it", "sound" if given.type == "audio" else "subtitles"
        try:
            stream: Any = self.container.add_stream_from_template(given)
        except ValueError:
            self.left_out.append(f"{what} (stream {given.index}): this kind of file does not hold {name}")
            return None
        for tag in TAGS & given.metadata.keys():
            stream.metadata[tag] = given.metadata[tag]
        return stream

    def _video(self, height: int, width: int, aspect: Fraction | None) -> Any:
        given = self.like.stream
        try:
            stream: Any = self.container.add_stream(self.encoder, rate=given.average_rate or given.guessed_rate or 25)
        except ValueError as error:
            raise OutputError(
                f"{self.like.path}: its like cannot be written: {error}", "give a video in an .mp4 or .mkv"
            ) from error
        stream.width, stream.height, stream.pix_fmt = width, height, _format(given, stream.codec_context.codec)
        context = stream.codec_context
        context.time_base = given.time_base
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(given.codec_context, name))
        if self.encoder in QUALITY:
            stream.options = {"crf": QUALITY[self.encoder], **({"b": "0"} if self.encoder == "libvpx-vp9" else {})}
        else:
            stream.bit_rate = max(given.codec_context.bit_rate or 0, 4 * height * width)
        return stream

    def write(self, pixels: Image, pts: int | None, aspect: Fraction | None = None) -> None:
        """pixels: (3, H, W) float32, not clipped; pts, aspect: see `Frame`, the first frame's aspect counts."""
        samples: NDArray[Any] = quantized(pixels.transpose(1, 2, 0), bits=16 if self.like.deep else 8)
        if self.stream is None:
            self.stream = self._video(samples.shape[0], samples.shape[1], aspect)
            self._copy_early()
        rgb = self.av.VideoFrame.from_ndarray(samples, format="rgb48le" if self.like.deep else "rgb24")
        given = self.like.stream.codec_context
        said = _Said(int(given.colorspace), int(given.color_range), samples.shape[0], given.format)
        frame = rgb.reformat(
            format=self.stream.pix_fmt, dst_colorspace=matrix(said), dst_color_range=swing(said), src_color_range="JPEG"
        )
        frame.colorspace, frame.color_range = int(given.colorspace), int(given.color_range)
        frame.pts, frame.time_base = pts, self.like.stream.time_base
        self.container.mux(self.stream.encode(frame))

    def copy(self, packet: av.Packet[Any]) -> None:
        """A packet of a carried stream, as it is; nothing is written before the size of the first frame is known."""
        if packet.stream.index not in self._carried:
            return
        if self.stream is None:
            self._early.append(packet)
            return
        packet.stream = self._carried[packet.stream.index]
        self.container.mux(packet)

    def _copy_early(self) -> None:
        early, self._early = self._early, []
        for packet in early:
            self.copy(packet)

    def close(self, *, whole: bool) -> None:
        """Write what the encoder still holds, and the end; of a file that is thrown away, let go."""
        if not whole:
            with suppress(self.av.FFmpegError, OSError):  # the error that made it so is on its way
                self.container.close()
            return
        if self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.container.close()


@dataclass(frozen=True)
class _Said:
    """What a file says about its colours, as a frame has it."""

    colorspace: int
    color_range: int
    height: int
    format: Any


def _encoder(av: ModuleType, codec: str, container: Any) -> str:
    """One for the same codec, else for one that this kind of file is usually in."""
    preferred = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1", "vp8": "libvpx"}
    name = preferred.get(codec, codec)
    usual = "libvpx-vp9" if container.format.name == "webm" else "libx264"
    if codec not in container.supported_codecs:
        return usual
    try:
        av.Codec(name, "w")
    except ValueError:
        return usual
    return name


def _format(given: Any, codec: Any) -> str:
    """The source's own pixel format where the encoder takes it."""
    known = [each.name for each in codec.video_formats or ()]
    return given.pix_fmt if not known or given.pix_fmt in known else known[0]
