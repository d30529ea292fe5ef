"""What a folder stands for, in which order, and what two of one name come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.data.images import Picture, write_picture
from moceir_edge.errors import DataError, OutputError
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.network import MoceIR
from moceir_edge.streaming.places import films_of, pictures_in, places_of
from moceir_edge.streaming.restore import restore
from tests.parity.fakes import noise
from tests.training.short_runs import slim_model


def files(folder: Path, *names: str) -> Path:
    """Files by name, for what looks at names alone."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """As people count, in folders, too."""
    folder = files(tmp_path, "f10.png", "f2.png", "f1.png", "take10/a.png", "take9/a.png")
    names = [path.relative_to(folder).as_posix() for path in pictures_in(folder)]
    assert names == ["f1.png", "f2.png", "f10.png", "take9/a.png", "take10/a.png"]


def test_each_folder_of_frames_is_a_film(tmp_path: Path) -> None:
    """One route for two takes would be none for the second."""
    folder = files(tmp_path / "in", "a/1.png", "a/2.png", "b/1.png")
    films = films_of([folder], places_of([folder], tmp_path / "out", force=False), sequence=True)
    assert {film: len(frames) for film, frames in films.items()} == {folder / "a": 2, folder / "b": 1}


def test_two_of_one_name_are_both_named(tmp_path: Path) -> None:
    """With the place that they would share."""
    folder = files(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(OutputError, match=r"a/1\.png and .*b/1\.png would both be .*out/1\.png"):
        places_of([folder / "a" / "1.png", folder / "b" / "1.png"], tmp_path / "out", force=False)


def test_a_file_given_twice_is_restored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another path, or inside a folder that is also given."""
    folder = files(tmp_path / "in", "1.png", "2.png")
    monkeypatch.chdir(tmp_path)
    places = places_of([Path("in"), folder / "1.png", folder], tmp_path / "out", force=False)
    assert places == {Path("in/1.png"): tmp_path / "out/1.png", Path("in/2.png"): tmp_path / "out/2.png"}


def test_a_folder_of_videos_alone_names_them(tmp_path: Path) -> None:
    """And says what to do."""
    with pytest.raises(DataError, match=r"only videos: .*film\.mp4; name videos themselves"):
        pictures_in(files(tmp_path, "film.mp4"))


def model_and_pictures(network: MoceIR, folder: Path) -> tuple[Path, Path]:
    """A model, and a folder with three pictures and a video."""
    save(LoadedModel(network, "golden"), folder / "model.safetensors")
    for number in range(3):
        write_picture(Picture(noise(number, height=24, width=32)), folder / "in" / f"{number}.png")
    files(folder / "in", "film.mp4")
    return folder / "model.safetensors", folder / "in"


def test_a_video_in_a_folder_is_said_to_be_skipped(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """In words and in the result; the pictures are restored."""
    model, folder = model_and_pictures(golden_tiny, tmp_path)
    said: list[str] = []
    result = restore(model, [folder], tmp_path / "out", say=said.append)
    assert len(result.written) == 3
    assert list(result.skipped) == [str(folder / "film.mp4")]
    assert [text for text in said if "name videos themselves" in text and "film.mp4" in text]


def test_ctrl_c_says_how_many_were_written(golden_tiny: MoceIR, tmp_path: Path) -> None:
    """And what was begun is whole."""
    model, folder = model_and_pictures(golden_tiny, tmp_path)
    said: list[str] = []

    def interrupted(items: list[Path], label: str) -> object:
        yield from items[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(model, [folder], tmp_path / "out", say=said.append, progress=interrupted)  # type: ignore[arg-type]
    assert said[-1] == "2 of 3 files were written"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


@pytest.mark.parametrize("slim", [True, False])
def test_a_slim_model_says_that_it_has_no_guard(golden_tiny: MoceIR, tmp_path: Path, slim: bool) -> None:
    """Once; a full model serves every task and needs none."""
    model, folder = model_and_pictures(golden_tiny, tmp_path)
    if slim:
        save(slim_model(guarded=True), model)
    said: list[str] = []
    restore(model, [folder], tmp_path / "out", say=said.append)
    assert len([text for text in said if "has no calibrated guard" in text]) == slim
