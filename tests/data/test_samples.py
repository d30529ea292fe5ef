"""DATA: which folders are sets, of which task, with which targets."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moceir_edge.data.degrade import add_noise
from moceir_edge.data.images import read_picture
from moceir_edge.data.samples import read_data, require_targets
from moceir_edge.errors import DataError, PictureError
from moceir_edge.terms import Task


def put(path: Path, *, value: int = 0, size: tuple[int, int] = (20, 18)) -> Path:
    """A small picture whose content depends on `value`; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(samples).save(path)
    return path


def test_the_shared_pictures_are_all_found(shared: Path) -> None:
    """The pack of test pictures has the counts that its description gives, and what is of no task is named."""
    data = read_data(shared / "data" / "test")
    tasks = Counter(sample.task for sample in data.samples)
    assert tasks == {
        Task.DENOISE_15: 68,
        Task.DENOISE_25: 68,
        Task.DENOISE_50: 68,
        Task.DERAIN: 20 + 6 + 5,
        Task.DEHAZE: 8 + 1,
        Task.DEBLUR: 1 + 16,
        Task.LOWLIGHT: 6,
        Task.DESNOW: 8,
    }
    assert [skipped.what for skipped in data.skipped] == ["noref"]
    names = {sample.name: sample for sample in data.samples}
    assert len(names) == len(data.samples)
    assert names["denoise_15/3096"].input_path.name == "3096.jpg"
    hazy = names["dehaze/1417_2"]
    assert hazy.target_path is not None
    assert hazy.target_path.stem == "1417"
    assert "derain_light/rain100l_1" in names
    require_targets(data)


def test_the_shared_pairs_load(shared: Path) -> None:
    """A rainy pair has the PSNR that its description gives (27.69 dB), noise that of sigma 25."""
    data = read_data(shared / "data" / "test")
    names = {sample.name: sample for sample in data.samples}
    rainy = names["derain_light/rain100l_2"].load()
    assert rainy.target is not None
    assert -10 * np.log10(np.mean((rainy.input - rainy.target) ** 2)) == pytest.approx(27.69, abs=0.01)
    noisy = names["denoise_25/3096"].load()
    assert noisy.input.shape == (3, 320, 480)


def test_a_set_has_the_longest_task_that_its_name_starts_with(tmp_path: Path) -> None:
    """`derain_light` is derain, `denoise_15_kodak` is one noise level, `denoise` is three."""
    put(tmp_path / "derain_light" / "input" / "a.png")
    put(tmp_path / "denoise_15_kodak" / "clean" / "b.png", value=1)
    put(tmp_path / "denoise_urban" / "clean" / "c.png", value=2)
    put(tmp_path / "holiday" / "input" / "d.png", value=3)
    data = read_data(tmp_path)
    assert [sample.name for sample in data.samples] == [
        "denoise_15_kodak/b",
        "denoise_15_urban/c",
        "denoise_25_urban/c",
        "denoise_50_urban/c",
        "derain_light/a",
    ]
    assert [(skipped.what, skipped.reason) for skipped in data.skipped] == [("holiday", "its name starts with no task")]
    assert data.tasks == (Task.DENOISE_15, Task.DENOISE_25, Task.DENOISE_50, Task.DERAIN)


def test_one_set_can_be_given_alone(tmp_path: Path) -> None:
    """A set's own folder is DATA too, and its task is asked for by name."""
    put(tmp_path / "derain" / "input" / "a.png")
    put(tmp_path / "denoise" / "clean" / "b.png", value=1)
    assert [sample.name for sample in read_data(tmp_path / "derain").samples] == ["derain/a"]
    level = read_data(tmp_path / "denoise", tasks=(Task.DENOISE_50,))
    assert [sample.name for sample in level.samples] == ["denoise_50/b"]


def test_targets_pair_by_stem_then_by_what_comes_before_the_first_underscore(tmp_path: Path) -> None:
    """An equal stem wins, with another suffix too; a picture without a target has none."""
    inputs, targets = tmp_path / "dehaze" / "input", tmp_path / "dehaze" / "target"
    for value, name in enumerate(["1_2.png", "1_3_4.png", "7_1.jpg", "9.png"]):
        put(inputs / name, value=value)
    for value, name in enumerate(["1.png", "1_2.jpg", "7_1.png"]):
        put(targets / name, value=10 + value)
    data = read_data(tmp_path)
    paired = {sample.name: sample.target_path and sample.target_path.name for sample in data.samples}
    assert paired == {"dehaze/1_2": "1_2.jpg", "dehaze/1_3_4": "1.png", "dehaze/7_1": "7_1.png", "dehaze/9": None}
    with pytest.raises(DataError, match=r"dehaze/9 \(.*9\.png\) has no target, and PSNR needs one"):
        require_targets(data)


def test_digests_are_of_the_target_where_there_is_one(tmp_path: Path) -> None:
    """Two hazes of one room share a digest, because they share the target file."""
    target = put(tmp_path / "dehaze" / "target" / "1.png", value=9)
    first = put(tmp_path / "dehaze" / "input" / "1_1.png", value=1)
    put(tmp_path / "dehaze" / "input" / "1_2.png", value=2)
    alone = put(tmp_path / "derain" / "input" / "x.png", value=3)
    one, two, lonely = read_data(tmp_path).samples
    assert one.digest == two.digest == hashlib.sha256(target.read_bytes()).hexdigest()
    assert one.input_digest == hashlib.sha256(first.read_bytes()).hexdigest()
    assert lonely.digest == hashlib.sha256(alone.read_bytes()).hexdigest()


def test_clean_pictures_are_cropped_then_made_noisy(tmp_path: Path) -> None:
    """The centre, in multiples of 16, gets the noise of its file's name."""
    path = put(tmp_path / "denoise" / "clean" / "p.png", size=(53, 35))
    pair = read_data(tmp_path, tasks=(Task.DENOISE_25,)).samples[0].load()
    clean = read_picture(path).pixels[:, 1:33, 2:50]
    assert pair.target is not None
    np.testing.assert_array_equal(pair.target, clean)
    np.testing.assert_array_equal(pair.input, add_noise(clean, 25, file_name="p.png"))


def test_a_pair_of_two_sizes_is_refused(tmp_path: Path) -> None:
    """The error names both pictures and both sizes."""
    put(tmp_path / "derain" / "input" / "a.png", size=(20, 18))
    put(tmp_path / "derain" / "target" / "a.png", size=(20, 16))
    with pytest.raises(PictureError, match=r"input/a\.png is 20x18 and its target .*target/a\.png is 20x16"):
        read_data(tmp_path).samples[0].load()


def test_a_clean_picture_can_be_too_small(tmp_path: Path) -> None:
    """A picture from which nothing would be left is refused by name."""
    put(tmp_path / "denoise" / "clean" / "tiny.png", size=(40, 15))
    with pytest.raises(PictureError, match=r"tiny\.png: smaller than 16x16"):
        read_data(tmp_path).samples[0].load()


def test_files_that_are_no_pictures_are_listed(tmp_path: Path) -> None:
    """A text file in a set is skipped by name, a hidden file without a word."""
    put(tmp_path / "derain" / "input" / "a.png")
    (tmp_path / "derain" / "input" / "notes.txt").write_text("hello")
    (tmp_path / "derain" / "input" / ".DS_Store").write_text("hello")
    assert [skipped.what for skipped in read_data(tmp_path).skipped] == ["derain/input/notes.txt"]


def test_data_that_cannot_serve_say_what_to_do(tmp_path: Path) -> None:
    """Missing, empty, unusable and unasked data are four different errors."""
    with pytest.raises(DataError, match="absent: no such file or folder; give a folder of"):
        read_data(tmp_path / "absent")
    with pytest.raises(DataError, match="no picture in it can be used; give a folder of"):
        read_data(tmp_path)
    (tmp_path / "derain").mkdir()
    put(tmp_path / "holiday" / "x.png")
    with pytest.raises(DataError, match=r"can be used \(derain: it has no folder input; holiday: its name starts"):
        read_data(tmp_path)
    put(tmp_path / "derain" / "input" / "a.png")
    with pytest.raises(DataError, match=r"no picture for dehaze, lowlight; add a set .* there are pictures for derain"):
        read_data(tmp_path, tasks=(Task.DEHAZE, Task.DERAIN, Task.LOWLIGHT))


def test_a_set_of_no_task_given_alone_is_refused(tmp_path: Path) -> None:
    """The remedy says how the folder has to be called."""
    put(tmp_path / "holiday" / "input" / "x.png")
    with pytest.raises(DataError, match="holiday: a set whose name starts with no task; begin its name with one of"):
        read_data(tmp_path / "holiday")


def test_names_that_are_not_unique_are_refused(tmp_path: Path) -> None:
    """Two suffixes of one stem, and two folders that make one set, would share a name."""
    put(tmp_path / "derain" / "input" / "a.png")
    put(tmp_path / "derain" / "input" / "a.jpg", value=1)
    with pytest.raises(DataError, match=r"a\.png and a\.jpg have the same stem"):
        read_data(tmp_path)
    other = tmp_path / "other"
    put(other / "denoise_x" / "clean" / "a.png")
    put(other / "denoise_15_x" / "clean" / "a.png")
    with pytest.raises(DataError, match="2 samples are called denoise_15_x/a"):
        read_data(other)


def test_the_hash_is_of_content_not_of_place(tmp_path: Path) -> None:
    """A copied folder has the same hash; one changed picture gives another."""
    for folder in ("one", "two"):
        put(tmp_path / folder / "derain" / "input" / "a.png")
    first, second = read_data(tmp_path / "one"), read_data(tmp_path / "two")
    assert first.sha256 == second.sha256
    put(tmp_path / "two" / "derain" / "input" / "a.png", value=5)
    assert read_data(tmp_path / "two").sha256 != first.sha256
    assert first.only(()).sha256 != first.sha256
    with pytest.raises(DataError, match="no picture for dehaze; give data for it; there is derain"):
        first.of([Task.DEHAZE])
