"""Pictures on disk for everything that reads DATA."""

from __future__ import annotations

import pytest

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.images import Picture, write_picture
from moceir_edge.data.samples import read_data
from tests.golden import drawn_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six pictures of derain with targets, three of dehaze without; 44x50, so they need padding."""
    folder = tmp_path_factory.mktemp("pictures")
    drawn = drawn_pictures(9, height=44, width=50).numpy()
    for index, image in enumerate(drawn):
        name = "derain" if index < 6 else "dehaze"
        write_picture(Picture(image), folder / name / "input" / f"{index}.png")
        if index < 6:
            write_picture(Picture(image[:, ::-1].copy()), folder / name / "target" / f"{index}.png")
    return read_data(folder)
