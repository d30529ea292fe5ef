"""Pictures come in upright, in sRGB and whole, and go out as they came."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imagecodecs import cms_profile, png_encode
from PIL import Image, ImageCms, PngImagePlugin

from moceir_edge.data.images import PICTURE_SUFFIXES, Picture, read_picture, write_picture
from moceir_edge.errors import OutputError, PictureError

ORIENTATION = 0x0112
GPS = 0x8825


def scene(height: int = 24, width: int = 40, *, channels: int = 3) -> np.ndarray:
    """A smooth 8-bit picture in which every corner differs."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * 200 // height + 20, columns * 200 // width + 10, (rows + columns) * 2, rows * 0 + 128]
    return np.stack(planes[:channels], axis=2).astype(np.uint8)


def deep_scene(channels: int = 3) -> np.ndarray:
    """A 16-bit picture whose low bytes matter."""
    return np.random.default_rng(0).integers(0, 65536, (17, 23, channels), dtype=np.uint16)


def pixels_of(samples: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1]."""
    return samples.transpose(2, 0, 1) / np.float32(np.iinfo(samples.dtype).max)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_8_bit_pictures_come_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    """Lossless formats give back the samples that were written."""
    write_picture(Picture(pixels_of(scene())), tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    assert again.bits == 8
    assert again.pixels.flags.c_contiguous
    assert again.pixels.dtype == np.float32
    np.testing.assert_array_equal(again.pixels, pixels_of(scene()))


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    """JPEG loses little of a smooth picture."""
    write_picture(Picture(pixels_of(scene())), tmp_path / "a.JPG")
    assert np.abs(read_picture(tmp_path / "a.JPG").pixels - pixels_of(scene())).max() < 4 / 255


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_pictures_come_back_bit_for_bit(tmp_path: Path, suffix: str, alpha: bool) -> None:
    """All 65536 levels survive reading, float32 and writing."""
    samples = deep_scene(4)
    unit = (samples / np.float32(65535)).astype(np.float32)
    picture = Picture(pixels_of(samples[..., :3]), bits=16, alpha=unit[..., 3] if alpha else None)
    write_picture(picture, tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    assert again.bits == 16
    np.testing.assert_array_equal(np.rint(again.pixels.astype(np.float64) * 65535), samples[..., :3].transpose(2, 0, 1))
    assert (again.alpha is not None) == alpha
    if again.alpha is not None:
        np.testing.assert_array_equal(np.rint(again.alpha.astype(np.float64) * 65535), samples[..., 3])


def test_all_16_bit_levels_survive_the_round_trip(tmp_path: Path) -> None:
    """Reading a 16-bit PNG of another writer and writing it gives equal samples at every level."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    (tmp_path / "grey.png").write_bytes(png_encode(levels))
    write_picture(read_picture(tmp_path / "grey.png"), tmp_path / "again.png")
    again = read_picture(tmp_path / "again.png")
    np.testing.assert_array_equal(np.rint(again.pixels[1].astype(np.float64) * 65535), levels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_16_bit_tiffs_of_other_writers_are_read(tmp_path: Path, planar: str) -> None:
    """Interleaved and separate planes, compressed or not, hold the same picture."""
    samples = deep_scene()
    stored = samples if planar == "contig" else samples.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression="lzw")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, pixels_of(samples))


def test_white_is_zero_is_understood(tmp_path: Path) -> None:
    """A 16-bit TIFF whose zero is white is not read as its negative."""
    tifffile.imwrite(tmp_path / "a.tif", np.full((8, 8), 65535, np.uint16), photometric="miniswhite")
    assert read_picture(tmp_path / "a.tif").pixels.max() == 0


def test_premultiplied_alpha_is_taken_out(tmp_path: Path) -> None:
    """Half-covered white is white with half alpha."""
    samples = np.full((8, 8, 4), 30000, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    picture = read_picture(tmp_path / "a.tif")
    assert picture.pixels.min() == 1
    assert picture.alpha is not None
    assert picture.alpha.max() == pytest.approx(30000 / 65535)


@pytest.mark.parametrize(
    ("mode", "has_alpha"), [("1", False), ("L", False), ("LA", True), ("P", False), ("RGB", False), ("RGBA", True)]
)
def test_every_mode_becomes_three_channels(tmp_path: Path, mode: str, has_alpha: bool) -> None:
    """Grey, palette and transparent pictures have the colours that Pillow shows."""
    image = Image.fromarray(scene()).convert(mode)
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, pixels_of(np.asarray(image.convert("RGB"))))
    assert (picture.alpha is not None) == has_alpha


def test_a_transparent_palette_gives_alpha(tmp_path: Path) -> None:
    """The entry of a palette that is transparent becomes alpha 0."""
    image = Image.fromarray(np.array([[0, 1]], np.uint8).repeat(8, axis=0), mode="P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=0)
    alpha = read_picture(tmp_path / "a.png").alpha
    assert alpha is not None
    assert alpha[0].tolist() == [0, 1]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_pictures_come_in_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """EXIF orientation is applied as a viewer would, and not a second time after writing."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(scene()).save(tmp_path / f"a{suffix}", exif=exif, **options)
    write_picture(read_picture(tmp_path / f"a{suffix}"), tmp_path / "b.png")
    transposed = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    expected = Image.fromarray(scene())
    if orientation > 1:
        expected = expected.transpose(Image.Transpose(transposed[orientation]))
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").pixels, pixels_of(np.asarray(expected)))


@pytest.mark.parametrize("orientation", [3, 6])
def test_16_bit_pictures_come_in_upright_too(tmp_path: Path, orientation: int) -> None:
    """The orientation of a 16-bit TIFF is applied."""
    samples = deep_scene()
    tag = (ORIENTATION, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extratags=[tag])
    expected = np.rot90(samples, 2 if orientation == 3 else -1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, pixels_of(expected))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_place_is_not_written(tmp_path: Path, suffix: str) -> None:
    """Neither GPS data nor any other EXIF or XMP of the source is in the output."""
    exif = Image.Exif()
    exif[0x010F] = "CAMERAMAKER"
    exif.get_ifd(GPS)[29] = "2001:02:03"
    source = tmp_path / f"a{suffix}"
    options = {"xmp": b"<x:xmpmeta>CAMERAMAKER</x:xmpmeta>"} if suffix in (".jpg", ".webp") else {}
    Image.fromarray(scene()).save(source, exif=exif, **options)
    assert b"CAMERAMAKER" in source.read_bytes()
    assert suffix == ".tif" or b"2001:02:03" in source.read_bytes()
    write_picture(read_picture(source), tmp_path / f"b{suffix}")
    written = (tmp_path / f"b{suffix}").read_bytes()
    assert b"2001:02:03" not in written
    assert b"CAMERAMAKER" not in written
    assert not Image.open(tmp_path / f"b{suffix}").getexif().get_ifd(GPS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_wide_profile_is_converted_and_kept(tmp_path: Path, suffix: str) -> None:
    """AdobeRGB pixels become sRGB as Pillow's ImageCms has it, and go back to AdobeRGB with the profile embedded."""
    adobe = cms_profile("adobergb")
    image = Image.fromarray(scene() // 4 + 90)
    image.save(tmp_path / "a.png", icc_profile=adobe)
    picture = read_picture(tmp_path / "a.png")
    source = ImageCms.ImageCmsProfile(io.BytesIO(adobe))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    assert converted is not None
    assert np.abs(picture.pixels - pixels_of(np.asarray(converted))).max() < 1.5 / 255
    assert np.abs(picture.pixels - pixels_of(np.asarray(image))).max() > 4 / 255
    write_picture(picture, tmp_path / f"b{suffix}")
    written = Image.open(tmp_path / f"b{suffix}")
    assert written.info["icc_profile"] == adobe
    tolerance = 6 if suffix == ".jpg" else 1
    assert np.abs(np.asarray(written).astype(int) - np.asarray(image)).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_wide_profile_is_kept_in_16_bit(tmp_path: Path, suffix: str) -> None:
    """The way to sRGB and back costs a 16-bit picture a few of its 65536 levels."""
    adobe = cms_profile("adobergb")
    inside = deep_scene() // 8 + 24000
    tifffile.imwrite(tmp_path / "a.tif", inside, photometric="rgb", iccprofile=adobe)
    write_picture(read_picture(tmp_path / "a.tif"), tmp_path / f"b{suffix}")
    again = read_picture(tmp_path / f"b{suffix}")
    assert again.icc_profile == adobe
    first = read_picture(tmp_path / "a.tif").pixels
    assert np.abs(again.pixels - first).max() < 4 / 65535


def test_an_srgb_profile_leaves_pixels_untouched(tmp_path: Path) -> None:
    """The sRGB profile that most phones embed changes no sample, and is kept."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(scene()).save(tmp_path / "a.png", icc_profile=profile)
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, pixels_of(scene()))
    assert picture.icc_profile == profile


def test_a_grey_profile_is_applied(tmp_path: Path) -> None:
    """A linear grey picture becomes brighter in sRGB; its profile cannot go into an RGB file and is dropped."""
    Image.fromarray(np.full((8, 8), 55, np.uint8)).save(tmp_path / "a.png", icc_profile=cms_profile("gray", gamma=1.0))
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.mean() == pytest.approx(0.5, abs=0.01)
    assert picture.icc_profile is None


def test_cmyk_is_converted(tmp_path: Path) -> None:
    """A CMYK JPEG without profile shows the colours it was made from."""
    Image.fromarray(scene()).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels - pixels_of(scene())).max() < 4 / 255


def test_a_damaged_profile_is_refused(tmp_path: Path) -> None:
    """Colours that cannot be understood are not guessed."""
    Image.fromarray(scene()).save(tmp_path / "a.png", icc_profile=b"RGB RGB RGB RGB RGB " * 10)
    with pytest.raises(PictureError, match=r"a\.png: its colour profile is damaged"):
        read_picture(tmp_path / "a.png")


def test_a_large_picture_is_refused_before_decoding(tmp_path: Path) -> None:
    """A decompression bomb is named with its size and the limit, and not decoded."""
    header = io.BytesIO()
    Image.new("1", (8, 8)).save(header, "PNG")
    data = bytearray(header.getvalue())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(PictureError, match=r"bomb\.png: 60000x60000 is 3600000000 pixels, and the limit is 67108864"):
        read_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_limit_on_pixels_is_the_callers(tmp_path: Path, suffix: str) -> None:
    """A picture of exactly the limit is read, one of a pixel more is not."""
    Image.fromarray(scene()).save(tmp_path / f"a{suffix}")
    read_picture(tmp_path / f"a{suffix}", max_pixels=960)
    with pytest.raises(PictureError, match="40x24 is 960 pixels, and the limit is 959"):
        read_picture(tmp_path / f"a{suffix}", max_pixels=959)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.98])
@pytest.mark.parametrize("kind", ["png8", "png16", "jpg", "progressive", "webp", "tif8", "tif16", "raw8", "raw16"])
def test_a_truncated_picture_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    """A picture whose end is missing gives an error naming it, never a half-decoded picture."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    path = tmp_path / {"png8": "a.png", "png16": "a.png", "webp": "a.webp"}.get(kind, f"a.{kind[:3]}")
    if kind == "png16":
        path.write_bytes(png_encode(deep))
    elif kind in ("tif8", "tif16", "raw8", "raw16"):
        compression = "zlib" if kind.startswith("tif") else None
        tifffile.imwrite(path, deep if kind.endswith("16") else noise, photometric="rgb", compression=compression)
    else:
        kinds = {"png8": "PNG", "webp": "WEBP"}
        Image.fromarray(noise).save(path, kinds.get(kind, "JPEG"), progressive=kind == "progressive")
    whole = path.read_bytes()
    read_picture(path)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert caught.value.what.startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, I am text\n" * 9, "not a PNG, JPEG, WebP or TIFF picture"),
        (b"GIF89a" + b"\0" * 40, "not a PNG, JPEG, WebP or TIFF picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "damaged or incomplete"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 40, "damaged or incomplete"),
        (b"II*\0" + b"\xff" * 40, "damaged or incomplete"),
        (b"RIFF\x20\0\0\0WEBPVP8 " + b"\0" * 40, "damaged or incomplete"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """Text, other formats and rubbish give one line with the file's name."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=rf"a\.png: {reason}"):
        read_picture(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    """What cannot be opened gives the reason of the operating system."""
    with pytest.raises(PictureError, match=r"absent\.png: cannot be read: No such file"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(PictureError, match="cannot be read"):
        read_picture(tmp_path)


def test_several_pictures_in_a_file_are_refused(tmp_path: Path) -> None:
    """Animations and multi-page files are not silently reduced to their first picture."""
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    for suffix in (".png", ".webp", ".tif"):
        first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
        with pytest.raises(PictureError, match="holds 2 pictures"):
            read_picture(tmp_path / f"a{suffix}")


def test_the_thumbnail_of_a_tiff_does_not_count(tmp_path: Path) -> None:
    """A TIFF with a reduced second page is one picture."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(scene(), photometric="rgb")
        writer.write(scene(12, 20), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, pixels_of(scene()))


def test_float_pictures_are_refused(tmp_path: Path) -> None:
    """A TIFF of floats has no agreed range, so it is not guessed."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.float32), photometric="rgb")
    with pytest.raises(PictureError, match=r"a\.tif"):
        read_picture(tmp_path / "a.tif")


def test_values_are_clipped_and_rounded(tmp_path: Path) -> None:
    """A sample is round(255 clip(x)), whatever the network gave."""
    pixels = np.array([-0.5, 0.4999 / 255, 0.5001 / 255, 1.7], np.float32).reshape(1, 1, 4).repeat(3, axis=0)
    write_picture(Picture(pixels), tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_outputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """A wrong suffix and transparency in a JPEG are errors that say what to use, and leave no file."""
    picture = Picture(pixels_of(scene()), alpha=np.ones((24, 40), np.float32))
    with pytest.raises(OutputError, match=r"no picture has the suffix '\.gif'"):
        write_picture(picture, tmp_path / "a.gif")
    with pytest.raises(OutputError, match="JPEG has no transparency"):
        write_picture(picture, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_written_png_has_nothing_but_pixels(tmp_path: Path) -> None:
    """Writing twice gives equal bytes, and text of the source is gone."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "someone")
    Image.fromarray(scene()).save(tmp_path / "a.png", pnginfo=text)
    for suffix in PICTURE_SUFFIXES:
        write_picture(read_picture(tmp_path / "a.png"), tmp_path / f"b{suffix}")
        write_picture(read_picture(tmp_path / "a.png"), tmp_path / f"c{suffix}")
        assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()
        assert b"someone" not in (tmp_path / f"b{suffix}").read_bytes()
