"""Videos come back with their frames, times, colours and sound, or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.errors import MoceirEdgeError, PictureError
from moceir_edge.opening import Opened
from moceir_edge.runner import Image, Runner
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.frames import Film, FrameRestorer
from moceir_edge.streaming.video import restore_video
from moceir_edge.terms import silent
from tests.parity.fakes import FakeRunner
from tests.test_tiling import Counting

av = pytest.importorskip("av", reason="not here: av is not installed")

SIZE = (48, 64)
BT709, LIMITED = 1, 1


def frame_of(number: int) -> Image:
    """(3, H, W): a ramp of colours that grows brighter."""
    across = np.linspace(0.2, 0.8, SIZE[1], dtype=np.float32)
    down = np.linspace(0.3, 0.7, SIZE[0], dtype=np.float32)[:, None]
    return np.stack([across + 0 * down, down + 0 * across, (across + down) / 2]) * (0.6 + 0.03 * number)


def written_video(
    path: Path, *, count: int = 12, sound: bool = True, codec: str = "libx264", aspect: Fraction | None = None
) -> Path:
    """A video of uneven times, in BT.709, with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={"crf": "8"} if codec == "libx264" else {})
        video.width, video.height, video.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        video.codec_context.colorspace, video.codec_context.color_range = BT709, LIMITED
        tone = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number in range(count):
            samples = np.rint(frame_of(number).transpose(1, 2, 0) * 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format="rgb24")
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=BT709, dst_color_range="MPEG", src_color_range="JPEG"
            )
            frame.pts, frame.time_base = 40 * number + (10 if number % 2 else 0), Fraction(1, 1000)
            container.mux(video.encode(frame))
            if tone is not None:
                wave = np.sin(np.arange(1024, dtype=np.float32)[None] / 9)
                heard = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 16000, 1024 * number, Fraction(1, 16000)
                container.mux(tone.encode(heard))
        container.mux(video.encode(None))
        if tone is not None:
            container.mux(tone.encode(None))
    return path


def doubled(path: Path, source: Path) -> Path:
    """The same packets twice, of picture and tone, and a text."""
    srt = path.with_suffix(".srt")
    srt.write_text("1\n00:00:00,000 --> 00:00:00,200\nrain\n")
    with av.open(str(source)) as given, av.open(str(srt)) as texts, av.open(str(path), "w") as container:
        kept = {stream.index: container.add_stream_from_template(stream) for stream in given.streams}
        again = {stream.index: container.add_stream_from_template(stream) for stream in given.streams}
        text = container.add_stream_from_template(texts.streams[0])
        text.metadata["language"] = "eng"
        for packet in given.demux():
            if not packet.size:
                continue
            index, content = packet.stream.index, bytes(packet)
            packet.stream = kept[index]
            times, base, key = (packet.pts, packet.dts, packet.duration), packet.time_base, packet.is_keyframe
            container.mux(packet)
            copy = av.Packet(content)
            copy.time_base, copy.stream, copy.is_keyframe = base, again[index], key
            copy.pts, copy.dts, copy.duration = times
            container.mux(copy)
        for packet in texts.demux():
            if packet.size:
                packet.stream = text
                container.mux(packet)
    return path


def restored(source: Path, place: Path, runner: Runner | None = None, *, said: list[str] | None = None) -> Film:
    """Restored by a runner that gives every frame back, if there is no other."""
    restorer = FrameRestorer(Budget(Opened(Path("a"), runner or Counting()), None))
    said = [] if said is None else said
    return restore_video(restorer, source, place, progress=silent, say=said.append)


def contents(path: Path) -> dict[str, Any]:
    """Times in ms, frames as RGB, and what the streams say."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = [(frame, frame.time) for frame in container.decode(video)]
        pixels = [
            frame.reformat(format="rgb24", src_colorspace=BT709, src_color_range="MPEG", dst_color_range="JPEG")
            for frame, _ in frames
        ]
        return {
            "times": [round(1000 * time) for _, time in frames],
            "pixels": [each.to_ndarray().transpose(2, 0, 1) / 255 for each in pixels],
            "codec": video.codec_context.name,
            "colours": (int(video.codec_context.colorspace), int(video.codec_context.color_range)),
            "sound": [stream.codec_context.name for stream in container.streams.audio],
        }


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_times_colours_and_sound_stay(suffix: str, tmp_path: Path) -> None:
    """Restored by an identity: twelve frames at the same uneven times, in the same colours, with the tone as it was."""
    source, place = written_video(tmp_path / f"in{suffix}"), tmp_path / "out" / f"in{suffix}"
    film = restored(source, place)
    before, after = contents(source), contents(place)
    assert film.frames == 12
    assert not film.route_held
    assert after["times"] == before["times"]
    assert (after["codec"], after["colours"], after["sound"]) == ("h264", (BT709, LIMITED), ["aac"])
    for given, found in zip(before["pixels"], after["pixels"], strict=True):
        assert np.abs(given - found).mean() < 3 / 255
    with av.open(str(source)) as first, av.open(str(place)) as second:
        packets = [[bytes(packet) for packet in each.demux(audio=0) if packet.size] for each in (first, second)]
    assert packets[0] == packets[1]


def test_what_is_restored_is_written(tmp_path: Path) -> None:
    """A runner that makes frames darker makes the video darker."""
    place = tmp_path / "out.mp4"
    restored(written_video(tmp_path / "in.mp4", sound=False), place, FakeRunner(lambda image: image * 0.5))
    for number, pixels in enumerate(contents(place)["pixels"]):
        assert np.abs(frame_of(number) * 0.5 - pixels).mean() < 3 / 255


def test_sound_that_the_file_cannot_hold_is_said(tmp_path: Path) -> None:
    """A .webm takes no AAC; the picture is written without it."""
    source = written_video(tmp_path / "in.mkv", count=3)
    said = list[str]()
    restored(source, tmp_path / "out.webm", said=said)
    assert contents(tmp_path / "out.webm")["sound"] == []
    assert any("sound (stream 1): this kind of file does not hold aac" in text for text in said)


def test_a_single_frame_keeps_its_sound(tmp_path: Path) -> None:
    """All of the sound may come before the first frame is known."""
    source = written_video(tmp_path / "in.mp4", count=1)
    restored(source, tmp_path / "out.mp4")
    with av.open(str(source)) as first, av.open(str(tmp_path / "out.mp4")) as second:
        packets = [[bytes(packet) for packet in each.demux(audio=0) if packet.size] for each in (first, second)]
    assert packets[0]
    assert packets[0] == packets[1]


def test_every_sound_and_subtitle_is_kept_and_the_rest_is_said(tmp_path: Path) -> None:
    """Two tones and a text come along; a second picture does not, and the result says so."""
    source = doubled(tmp_path / "in.mkv", written_video(tmp_path / "plain.mkv"))
    said = list[str]()
    film = restored(source, tmp_path / "out.mkv", said=said)
    (left,) = film.left_out
    assert left.startswith("video stream 2: only the first video")
    assert said == [f"{source}: {left}"]
    with av.open(str(tmp_path / "out.mkv")) as found:
        assert len(found.streams.audio) == 2
        (text,) = found.streams.subtitles
        assert text.metadata["language"] == "eng"
        assert [bytes(packet) for packet in found.demux(text) if packet.size] == [b"rain"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_title_and_chapters_stay(suffix: str, tmp_path: Path) -> None:
    """What is said of the whole film is still true of the restored one."""
    plain, source, place = (tmp_path / f"{name}{suffix}" for name in ("plain", "in", "out"))
    written_video(plain, sound=False)
    chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "drops"}}
    with av.open(str(plain)) as given, av.open(str(source), "w") as container:
        container.metadata["title"] = "rain"
        container.set_chapters([chapter])
        copied = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = copied
                container.mux(packet)
    restored(source, place)
    with av.open(str(place)) as found:
        assert found.metadata["title"] == "rain"
        assert [each["metadata"]["title"] for each in found.chapters()] == ["drops"]


def test_alpha_is_said_to_be_lost(tmp_path: Path) -> None:
    """A codec with alpha comes back opaque, in words."""
    with av.open(str(tmp_path / "in.mov"), "w") as container:
        stream = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "argb"
        frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 4), 128, np.uint8), format="argb")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    film = restored(tmp_path / "in.mov", tmp_path / "out.mov")
    assert film.left_out == ("alpha: the restored video is opaque",)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_shape_of_pixels_stays(suffix: str, tmp_path: Path) -> None:
    """Anamorphic video keeps the proportions in which it is shown."""
    source = written_video(tmp_path / f"in{suffix}", sound=False, aspect=Fraction(4, 3))
    film = restored(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as found:
        assert found.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert film.left_out == ()


def test_a_shape_of_pixels_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """VP9 has no word for it, and WebM's own is out of reach."""
    source = written_video(tmp_path / "in.mp4", count=1, codec="libvpx-vp9", sound=False, aspect=Fraction(4, 3))
    film = restored(source, tmp_path / "out.webm")
    assert film.left_out == ("shape of pixels (4:3): not in a file of this kind by libvpx-vp9",)


def test_pixels_of_a_turned_video_are_turned(tmp_path: Path) -> None:
    """Wide pixels of a picture that lies on its side are tall once it is upright."""
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((*SIZE, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    restored(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as found:
        video = found.streams.video[0]
        assert (video.height, video.width) == (SIZE[1], SIZE[0])
        assert video.sample_aspect_ratio == Fraction(3, 4)


def test_a_size_that_changes_in_the_middle_is_refused(tmp_path: Path) -> None:
    """With both sizes and the frame; nothing is left of the output."""
    small, path = tmp_path / "small.mkv", tmp_path / "in.h264"
    with av.open(str(small), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with path.open("wb") as stream:
        for part in (written_video(tmp_path / "large.mkv", count=3, sound=False), small):
            raw = part.with_suffix(".h264")
            with av.open(str(part)) as given, av.open(str(raw), "w") as container:
                copied = container.add_stream_from_template(given.streams.video[0])
                for packet in given.demux(video=0):
                    if packet.size:
                        packet.stream = copied
                        container.mux(packet)
            stream.write(raw.read_bytes())
    with pytest.raises(PictureError, match=r"frame 4 is 32x24, and the frames before it 64x48"):
        restored(path, tmp_path / "out" / "out.mkv")
    assert list((tmp_path / "out").iterdir()) == []


def damaged(kind: str, tmp_path: Path) -> Path:
    """A video of which something is wrong."""
    path = tmp_path / ("in.mkv" if kind == "cut short" else "in.mp4")
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no video at all")
    elif kind == "cut in its head":
        whole = written_video(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "cut short":
        whole = written_video(path, count=40, sound=False).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "without frames":
        with av.open(str(path), "w") as container:
            tone = container.add_stream("aac", rate=16000, layout="mono")
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            heard.sample_rate = 16000
            container.mux(tone.encode(heard))
            container.mux(tone.encode(None))
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("empty", "the file is empty"),
        ("text", "damaged, or no video"),
        ("cut in its head", "damaged, or no video"),
        ("cut short", r"is cut short: 0\.\d of 1\.6 s"),
        ("without frames", "holds no video"),
        ("missing", "no such file"),
    ],
)
def test_a_video_that_is_wrong_is_named(kind: str, says: str, tmp_path: Path) -> None:
    """With what is wrong; nothing is left of the output."""
    source = damaged(kind, tmp_path)
    with pytest.raises(PictureError, match=says) as raised:
        restored(source, tmp_path / "out" / source.name)
    assert str(source) in raised.value.what
    assert not list((tmp_path / "out").iterdir() if (tmp_path / "out").exists() else ())


def test_what_goes_wrong_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C at the fifth frame: no half file, and none by a temporary name."""
    seen = iter(range(5))

    def five(image: Image) -> Image:
        if next(seen, None) is None:
            raise KeyboardInterrupt
        return image

    with pytest.raises(KeyboardInterrupt):
        restored(written_video(tmp_path / "in.mp4"), tmp_path / "out" / "in.mp4", FakeRunner(five))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_codec_without_a_decoder_is_refused(tmp_path: Path) -> None:
    """The name of the codec in the file is one that nobody knows."""
    path = written_video(tmp_path / "in.mkv", sound=False)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(MoceirEdgeError, match=r"decodes its codec|damaged, or no video|holds no"):
        restored(path, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
