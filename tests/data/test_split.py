"""Calibration and judgement never share a picture."""

from __future__ import annotations

import hashlib
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import refuse_overlap, split, subset
from moceir_edge.errors import DataError
from moceir_edge.terms import Task


def sample(task: Task, name: str, *, source: int | str, target: int | str | None = None) -> Sample:
    """A sample of files that are not read; equal `source` or `target` are equal files."""
    set_name, _, _ = name.partition("/")
    hashes = [hashlib.sha256(str(file).encode()).hexdigest() for file in (source, source if target is None else target)]
    return Sample(task, set_name, name, Path(name), None, input_digest=hashes[0], digest=hashes[1])


def rainy(count: int) -> Dataset:
    """A dataset of different rainy pictures."""
    return Dataset(tuple(sample(Task.DERAIN, f"derain/{index}", source=index) for index in range(count)))


def files_of(dataset: Dataset) -> set[str]:
    """Hashes of all files."""
    return set(chain.from_iterable(member.digests for member in dataset.samples))


@pytest.mark.parametrize(("count", "choosing"), [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (31, 10), (300, 100)])
def test_a_third_chooses(count: int, choosing: int) -> None:
    """One third chooses, and of two pictures one."""
    parts = split(rainy(count))
    assert len(parts.choosing.samples) == choosing
    assert len(parts.judging.samples) == count - choosing


def test_the_choice_depends_on_content_only() -> None:
    """Neither order nor names decide who chooses."""
    data = rainy(12)
    turned = split(Dataset(data.samples[::-1]))
    assert files_of(turned.choosing) == files_of(split(data).choosing)


def test_samples_of_one_target_stay_together() -> None:
    """Ten hazes of each room are on one side."""
    members = [
        sample(Task.DEHAZE, f"dehaze/{room}_{haze}", source=f"{room}_{haze}", target=room)
        for room in range(9)
        for haze in range(10)
    ]
    parts = split(Dataset(tuple(members)))
    assert len(parts.choosing.samples) == 30
    assert files_of(parts.choosing).isdisjoint(files_of(parts.judging))


def test_a_picture_that_is_here_input_and_there_target_stays_on_its_side() -> None:
    """Chains of shared files are one group."""
    members = tuple(
        chain.from_iterable(
            (
                sample(Task.DENOISE_15, f"denoise_15/{index}", source=f"clean{index}"),
                sample(Task.DERAIN, f"derain/{index}", source=f"rain{index}", target=f"clean{index}"),
                sample(Task.DEHAZE, f"dehaze/{index}", source=f"haze{index}", target=f"rain{index}"),
            )
            for index in range(6)
        )
    )
    parts = split(Dataset(members))
    assert len(parts.choosing.samples) == 6
    refuse_overlap(parts.choosing, parts.judging)


def test_the_noise_levels_of_a_picture_stay_together() -> None:
    """A picture that chooses at one noise level judges at none."""
    members = [sample(task, f"{task}/{i}", source=i) for task in (Task.DENOISE_15, Task.DENOISE_25) for i in range(7)]
    parts = split(Dataset(tuple(members)))
    assert files_of(parts.choosing).isdisjoint(files_of(parts.judging))
    assert len(parts.choosing.samples) == 4


@given(st.lists(st.tuples(st.sampled_from(Task), st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_no_split_shares_a_file(files: list[tuple[Task, int, int]]) -> None:
    """Whatever files are shared by whatever samples, the two sides share none and lose none."""
    members = tuple(
        sample(task, f"{task}/{index}", source=source, target=target)
        for index, (task, source, target) in enumerate(files)
    )
    parts = split(Dataset(members))
    refuse_overlap(parts.choosing, parts.judging)
    assert len(parts.choosing.samples) + len(parts.judging.samples) == len(members)


def test_the_shared_pictures_are_split_in_every_task(shared: Path) -> None:
    """Every task of the test pictures has near one third on the choosing side."""
    data = read_data(shared / "data" / "test")
    parts = split(data)
    refuse_overlap(parts.choosing, parts.judging)
    for task in data.tasks:
        share = len(parts.choosing.of([task]).samples) / len(data.of([task]).samples)
        assert 0.25 < share < 0.42, task


def test_an_overlap_is_named() -> None:
    """A file on both sides, as input or as target, is refused with both names."""
    choosing = Dataset((sample(Task.DERAIN, "derain/a", source="x", target="y"),))
    judging = Dataset((sample(Task.DEHAZE, "dehaze/b", source="y", target="z"),))
    with pytest.raises(DataError, match="derain/a chooses and dehaze/b judges, and they share a file"):
        refuse_overlap(choosing, judging)


def test_a_subset_takes_from_every_set_in_turn() -> None:
    """Small sets are not crowded out by large ones, and the choice is always the same."""
    members = [sample(Task.DERAIN, f"derain/{index}", source=index) for index in range(20)]
    members += [sample(Task.DERAIN, f"derain_light/{index}", source=100 + index) for index in range(2)]
    members += [sample(Task.DEHAZE, f"dehaze/{index}", source=200 + index) for index in range(3)]
    chosen = subset(Dataset(tuple(members)), 5)
    sets = [member.set_name for member in chosen.samples]
    assert (sets.count("derain"), sets.count("derain_light"), sets.count("dehaze")) == (3, 2, 3)
    assert chosen == subset(Dataset(tuple(members)), 5)
    assert subset(Dataset(tuple(members[::-1])), 5).samples == chosen.samples[::-1]
    with pytest.raises(DataError, match="0 pictures per task are too few"):
        subset(chosen, 0)
