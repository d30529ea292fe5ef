"""Manifests say which pictures, how many, degraded how, and are believed only if every hash agrees."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from moceir_edge.data.degrade import add_noise, compose
from moceir_edge.data.images import read_picture
from moceir_edge.data.manifest import picture_seed
from moceir_edge.data.samples import read_data, require_targets
from moceir_edge.data.split import refuse_overlap, split
from moceir_edge.errors import DataError
from moceir_edge.resources import find_resource, resource, resource_names
from moceir_edge.terms import NOISE_SIGMA, Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three of the bundled pictures."""
    (tmp_path / "pictures").mkdir()
    for name in ("coffee", "chelsea", "rocket"):
        shutil.copy(resource("calibration") / "pictures" / f"{name}.png", tmp_path / "pictures")
    return tmp_path


def written(folder: Path, sources: str, *, pictures: str | None = None) -> Path:
    """A manifest of these sources; without `pictures` it lists all there are."""
    listed = "".join(
        f"  pictures/{path.name}: {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted((folder / "pictures").iterdir())
    )
    path = folder / "own.yaml"
    path.write_text(f"about: a test\nsources:\n{sources}pictures:\n{pictures or listed}")
    return path


RAIN = "  - {set: derain_light, folder: pictures, count: 2, degrade: {derain: light}, seed: 7}\n"


@pytest.mark.parametrize("name", resource_names("calibration"))
def test_bundled_manifests_work_out_of_the_box(name: str) -> None:
    """Every bundled manifest has targets, loads, and gives both sides of a split for every task."""
    data = read_data(find_resource("calibration", name))
    require_targets(data)
    parts = split(data)
    refuse_overlap(parts.choosing, parts.judging)
    assert parts.choosing.tasks == parts.judging.tasks == data.tasks
    pair = data.samples[-1].load()
    assert pair.target is not None
    assert pair.input.shape == pair.target.shape


def test_the_five_tasks_are_all_there() -> None:
    """`three_tasks` and `five_tasks` hold what their names say."""
    three = (*NOISE_SIGMA, Task.DERAIN, Task.DEHAZE)
    assert read_data(find_resource("calibration", "three_tasks")).tasks == three
    assert read_data(find_resource("calibration", "five_tasks")).tasks == (*three, Task.DEBLUR, Task.LOWLIGHT)


def test_the_demo_chooses_and_judges_rain() -> None:
    """The demo is small, and has two rainy pictures to choose and three or more to judge."""
    parts = split(read_data(find_resource("calibration", "demo")))
    assert len(parts.choosing.of([Task.DERAIN]).samples) >= 2
    assert len(parts.judging.of([Task.DERAIN]).samples) >= 3
    assert len(parts.choosing.samples) + len(parts.judging.samples) <= 15


def test_bundled_pictures_are_few_small_and_licensed() -> None:
    """Under 1 MB in all, each with a line in the list of licences."""
    pictures = resource("calibration") / "pictures"
    licences = (pictures / "LICENSES.md").read_text()
    files = list(pictures.glob("*.png"))
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert all(f"`{path.name}`" in licences for path in files)


def test_inputs_are_made_as_the_manifest_says(folder: Path) -> None:
    """A degraded input follows from the source's seed and the file's name, noise from the name alone."""
    sources = RAIN + "  - {set: denoise_25, folder: pictures, count: 3}\n"
    data = read_data(written(folder, sources))
    assert [sample.set_name for sample in data.samples] == ["derain_light"] * 2 + ["denoise_25"] * 3
    rainy, noisy = data.samples[0], data.samples[-1]
    clean = read_picture(rainy.input_path).pixels
    expected = compose(clean, {Task.DERAIN: "light"}, seed=picture_seed(7, rainy.input_path.name))
    np.testing.assert_array_equal(rainy.load().input, expected)
    clean = read_picture(noisy.input_path).pixels
    np.testing.assert_array_equal(noisy.load().input, add_noise(clean, 25, file_name=noisy.input_path.name))


def test_pairs_are_taken_from_folders_too(folder: Path) -> None:
    """A source without `degrade` is a set as in DATA."""
    for part, name in (("input", "coffee"), ("target", "coffee")):
        (folder / "street" / part).mkdir(parents=True)
        shutil.copy(folder / "pictures" / f"{name}.png", folder / "street" / part / "a.png")
    digest = hashlib.sha256((folder / "pictures" / "coffee.png").read_bytes()).hexdigest()
    listed = f"  street/input/a.png: {digest}\n  street/target/a.png: {digest}\n"
    path = written(folder, "  - {set: derain_street, folder: street, count: 1}\n", pictures=listed)
    (sample,) = read_data(path).samples
    assert (sample.name, sample.task) == ("derain_street/a", Task.DERAIN)


def test_a_changed_picture_is_refused(folder: Path) -> None:
    """A picture whose hash differs is named with its line."""
    path = written(folder, RAIN)
    shutil.copy(folder / "pictures" / "rocket.png", folder / "pictures" / "coffee.png")
    with pytest.raises(DataError, match=r"own\.yaml:6: pictures\.pictures/coffee\.png: sha256 is .* not "):
        read_data(path)


def test_a_missing_picture_is_refused(folder: Path) -> None:
    """A listed picture that is not there is named."""
    path = written(folder, RAIN)
    (folder / "pictures" / "coffee.png").unlink()
    with pytest.raises(DataError, match=r"coffee\.png: cannot be read: No such file"):
        read_data(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{set: derain, folder: pictures, count: 2, colour: red}", r"own\.yaml:3: sources\.0\.colour: no such key"),
        ("{set: derain, folder: pictures}", r"sources\.0\.count: is missing"),
        ("{set: derain, folder: pictures, count: 0}", r"sources\.0\.count: .*greater than or equal to 1"),
        ("{set: holiday, folder: pictures, count: 1}", "set 'holiday' starts with no task"),
        (
            "{set: derain, folder: pictures, count: 1, degrade: {derain: wild}, seed: 1}",
            "has no strength 'wild'; use one of light, heavy, cdd11",
        ),
        ("{set: derain, folder: pictures, count: 1, degrade: {derain: light}}", "degrade and seed go together"),
        (
            "{set: derain, folder: pictures, count: 1, degrade: {dehaze: cdd11}, seed: 1}",
            "degrade does not contain derain",
        ),
        ("{set: denoise_25, folder: pictures, count: 1, seed: 1}", "remove degrade and seed"),
        (
            "{set: derain, folder: pictures, count: 9, degrade: {derain: light}, seed: 1}",
            r"sources\.0: count: 9 is more than the 3 listed pictures of pictures",
        ),
        ("{set: derain, folder: absent, count: 1}", r"sources\.0: folder: absent is no folder"),
        ("{set: derain, folder: pictures, count: 1}", "set 'derain': it has no folder input"),
        ("{set: derain, set: dehaze, folder: pictures, count: 1}", r"own\.yaml:3: key 'set' is doubled"),
    ],
)
def test_mistakes_are_named_with_their_place(folder: Path, source: str, message: str) -> None:
    """A manifest with a mistake is refused with the place and what is allowed."""
    with pytest.raises(DataError, match=message):
        read_data(written(folder, f"  - {source}\n"))


def test_all_mistakes_are_named_at_once(folder: Path) -> None:
    """Two mistakes in two sources are one error with both places."""
    sources = "  - {set: holiday, folder: pictures, count: 1}\n  - {set: derain, folder: pictures, count: x}\n"
    with pytest.raises(DataError, match=r"own\.yaml:3: sources\.0.*; .*own\.yaml:4: sources\.1\.count"):
        read_data(written(folder, sources))
