"""Folders of training data: the published layouts and ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moceir_edge.errors import DataError, InputError, RecipeError
from moceir_edge.resources import find_resource, resource
from moceir_edge.terms import Task
from moceir_edge.training.recipe import Layout, Source, read_training
from moceir_edge.training.sources import samples_of, samples_of_all


def pictures(folder: Path, *names: str) -> None:
    """Small grey pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(folder / name)


def read(root: Path, layout: str, **fields: object) -> list[tuple[tuple[str, ...], str, str]]:
    """Tasks, input and target of every sample, as text."""
    source = Source.model_validate({"folder": ".", "layout": layout, **fields})
    return [
        (s.tasks, s.input.relative_to(root).as_posix(), s.target.relative_to(root).as_posix())
        for s in samples_of(source, root)
    ]


def test_reside(tmp_path: Path) -> None:
    """Four parts, one clear picture for many hazy ones."""
    pictures(tmp_path / "clear", "0025.jpg")
    pictures(tmp_path / "part1", "0025_0.8_0.1.jpg")
    pictures(tmp_path / "part2", "0025_1_0.2.jpg")
    expected = [("part1/0025_0.8_0.1.jpg", "clear/0025.jpg"), ("part2/0025_1_0.2.jpg", "clear/0025.jpg")]
    assert read(tmp_path, "reside") == [((Task.DEHAZE,), *pair) for pair in expected]


def test_rain(tmp_path: Path) -> None:
    """By number, not by order."""
    pictures(tmp_path / "rainy", "rain-10.png", "rain-2.png")
    pictures(tmp_path / "gt", "norain-2.png", "norain-10.png")
    pairs = [("rainy/rain-10.png", "gt/norain-10.png"), ("rainy/rain-2.png", "gt/norain-2.png")]
    assert read(tmp_path, "rain") == [((Task.DERAIN,), *pair) for pair in pairs]


@pytest.mark.parametrize(
    ("layout", "inputs", "targets", "task"),
    [("gopro", "input_crops", "target_crops", Task.DEBLUR), ("lol", "input", "target", Task.LOWLIGHT)],
)
def test_folders_of_equal_names(tmp_path: Path, layout: str, inputs: str, targets: str, task: Task) -> None:
    """Repeated as often as asked."""
    pictures(tmp_path / inputs, "a.png")
    pictures(tmp_path / targets, "a.png", "unused.png")
    assert read(tmp_path, layout, repeats=3) == [((task,), f"{inputs}/a.png", f"{targets}/a.png")] * 3


def test_cdd11(tmp_path: Path) -> None:
    """The folder's name says what it mixes."""
    for name in ("clear", "low_haze_rain", "snow"):
        pictures(tmp_path / name, "1.png")
    assert read(tmp_path, "cdd11") == [
        ((Task.LOWLIGHT, Task.DEHAZE, Task.DERAIN), "low_haze_rain/1.png", "clear/1.png"),
        ((Task.DESNOW,), "snow/1.png", "clear/1.png"),
    ]
    pictures(tmp_path / "fog", "1.png")
    with pytest.raises(DataError, match="called 'fog'"):
        read(tmp_path, "cdd11")


def test_clean_pictures_at_any_depth_for_every_task(tmp_path: Path) -> None:
    """BMP, too, as WED has it."""
    pictures(tmp_path / "WaterlooED", "1.bmp")
    pictures(tmp_path / "BSD400", "2.jpg")
    found = read(tmp_path, "clean", tasks=["denoise_15", "deblur"], strengths={"deblur": ["light"]})
    names = ["BSD400/2.jpg", "WaterlooED/1.bmp"]
    assert found == [((task,), name, name) for task in (Task.DENOISE_15, Task.DEBLUR) for name in names]


def test_our_sets(tmp_path: Path) -> None:
    """Pairs, and clean pictures that get noise; a set without targets is refused by name."""
    pictures(tmp_path / "derain_x" / "input", "1.png")
    pictures(tmp_path / "derain_x" / "target", "1.png")
    pictures(tmp_path / "denoise_25" / "clean", "2.png")
    assert set(read(tmp_path, "sets")) == {
        ((Task.DERAIN,), "derain_x/input/1.png", "derain_x/target/1.png"),
        ((Task.DENOISE_25,), "denoise_25/clean/2.png", "denoise_25/clean/2.png"),
    }
    pictures(tmp_path / "dehaze" / "input", "3.png")
    with pytest.raises(DataError, match="dehaze/3 has no target"):
        read(tmp_path, "sets")


def test_a_missing_partner_folder_or_picture_is_named(tmp_path: Path) -> None:
    """What is missing, and where."""
    with pytest.raises(DataError, match="no such folder"):
        read(tmp_path / "nowhere", "lol")
    pictures(tmp_path / "input", "a.png")
    with pytest.raises(DataError, match="target: no such folder"):
        read(tmp_path, "lol")
    pictures(tmp_path / "target", "b.png")
    with pytest.raises(DataError, match="no clear picture 'a'"):
        read(tmp_path, "lol")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture in the layout clean"):
        read(tmp_path / "empty", "clean", tasks=["denoise_15"])


def test_only_what_belongs_to_the_tasks_is_taken(tmp_path: Path) -> None:
    """Of clean pictures and sets their part, of mixtures those that need nothing else; other folders are not read."""
    pictures(tmp_path / "clean", "1.png")
    for part in ("input", "target"):
        pictures(tmp_path / "sets" / "derain" / part, "2.png")
        pictures(tmp_path / "sets" / "dehaze" / part, "3.png")
    for name in ("clear", "haze_rain", "rain", "low_rain"):
        pictures(tmp_path / "mixed" / name, "4.png")
    strengths = {"deblur": ["light"]}
    sources = [
        Source.model_validate({"folder": folder, "layout": layout, **fields})
        for folder, layout, fields in (
            ("clean", "clean", {"tasks": ["denoise_15", "deblur"], "strengths": strengths}),
            ("sets", "sets", {}),
            ("mixed", "cdd11", {}),
            ("nowhere", "gopro", {}),
            ("nowhere", "sets", {"tasks": ["deblur"]}),
        )
    ]
    found = samples_of_all(sources, tmp_path, tasks=[Task.DERAIN, Task.DEHAZE, Task.DENOISE_15])
    assert [(s.tasks, s.input.relative_to(tmp_path).as_posix()) for s in found] == [
        ((Task.DENOISE_15,), "clean/1.png"),
        ((Task.DEHAZE,), "sets/dehaze/input/3.png"),
        ((Task.DERAIN,), "sets/derain/input/2.png"),
        ((Task.DEHAZE, Task.DERAIN), "mixed/haze_rain/4.png"),
        ((Task.DERAIN,), "mixed/rain/4.png"),
    ]
    with pytest.raises(DataError, match="no training picture for desnow"):
        samples_of_all(sources[:2], tmp_path, tasks=[Task.DESNOW])


@pytest.mark.parametrize("path", sorted((resource("calibration") / "training").glob("*.yaml")), ids=lambda p: p.stem)
def test_bundled_files_are_valid_and_found_by_name(path: Path) -> None:
    """Every one of them."""
    assert find_resource("training", path.stem) == path
    assert read_training(path).data


def test_every_layout_is_read() -> None:
    """None is only a word."""
    from moceir_edge.training.sources import _READERS

    assert set(_READERS) == set(Layout)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("size: tiny\nstart: a.ckpt\n", "size and start: give one of them"),
        ("distil: {output: 0, features: 0}\n", "distil: output and features are both 0"),
        ("distil: {target: -1}\n", "distil.target: Input should be greater than or equal to 0"),
        ("size: huge\n", "size: 'huge' is not one of base, S, tiny"),
        ("batch: 0\n", "batch: Input should be greater than or equal to 1"),
        ("patch: 33\n", "patch: Input should be a multiple of 8"),
        ("epochs: 3\n", "epochs: no such key"),
        ("schedule: {steps: 9, warmup: 10, cosine: 20}\n", "warmup <= steps <= cosine"),
        ("data: [{folder: a, layout: clean}]\n", "clean pictures need tasks"),
        ("data: [{folder: a, layout: clean, tasks: [deblur]}]\n", "deblur needs strengths"),
        ("data: [{folder: a, layout: lol, strengths: {deblur: [light]}}]\n", "strengths are for clean pictures"),
        ("data: [{folder: a, layout: lol, tasks: [deblur]}]\n", "tasks are for clean pictures and sets"),
        (
            "data: [{folder: a, layout: clean, tasks: [deblur], strengths: {deblur: []}}]\n",
            "data.0.strengths.deblur: Tuple should have at least 1 item",
        ),
        (
            "data: [{folder: a, layout: clean, tasks: [denoise_15], strengths: {deblur: [light]}}]\n",
            "nothing takes the strengths of deblur",
        ),
        ("seed: -1\n", "seed: Input should be greater than or equal to 0"),
    ],
)
def test_wrong_files_name_the_place(tmp_path: Path, change: str, found: str) -> None:
    """One line for each problem."""
    said = {
        "size": "size: tiny\n",
        "data": "data: [{folder: a, layout: lol}]\n",
        "schedule": "schedule: {steps: 1, warmup: 0, cosine: 1}\n",
    }
    said[change.split(":", maxsplit=1)[0]] = change
    path = tmp_path / "train.yaml"
    path.write_text("".join(said.values()))
    with pytest.raises(RecipeError) as caught:
        read_training(path)
    assert found in caught.value.what


def test_unknown_names_list_the_bundled_ones() -> None:
    """With what there is."""
    with pytest.raises(InputError) as caught:
        find_resource("training", "seven_tasks")
    assert "five_tasks" in caught.value.remedy
