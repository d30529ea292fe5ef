"""Samples: what is restored, what it should become, and where both come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from moceir_edge.data.degrade import add_noise, compose
from moceir_edge.data.images import Pixels, read_picture
from moceir_edge.errors import DataError, PictureError
from moceir_edge.records import Skipped, sha256_of_value
from moceir_edge.terms import NOISE_SIGMA, Progress, Task, silent

CLEAN_MULTIPLE = 16
"""Clean pictures are cropped to multiples of this, as in the published tests of denoising."""


@dataclass(frozen=True)
class Pair:
    """What a sample holds; both (3, H, W) float32 in [0, 1], of equal size."""

    input: Pixels
    target: Pixels | None


@dataclass(frozen=True)
class Synthesis:
    """How an input is made from the clean picture: the strength of each degradation, and a seed."""

    strengths: tuple[tuple[Task, str], ...]
    seed: int


@dataclass(frozen=True)
class Sample:
    """One picture of one task.

    name: unique in its Dataset, "<set>/<stem of the input>"
    input_digest: sha256 of the input file (of the clean one, where the input is made from it)
    digest: sha256 of the target file, else of the input file; samples that share one never part in a split
    synthesis: None for pairs, and for noise, which follows from task and file name
    """

    task: Task
    set_name: str
    name: str
    input_path: Path
    target_path: Path | None
    input_digest: str
    digest: str
    synthesis: Synthesis | None = None

    def load(self) -> Pair:
        """Read, and where needed make, input and target."""
        if self.input_path == self.target_path:
            return self._made_from_clean()
        source = read_picture(self.input_path).pixels
        target = None if self.target_path is None else read_picture(self.target_path).pixels
        if target is not None and target.shape != source.shape:
            raise PictureError(
                f"{self.input_path} is {_size(source)} and its target {self.target_path} is {_size(target)}",
                "give a pair of equal size",
            )
        return Pair(source, target)

    def _made_from_clean(self) -> Pair:
        clean = cropped(read_picture(self.input_path).pixels, CLEAN_MULTIPLE)
        if clean.size == 0:
            raise PictureError(
                f"{self.input_path}: smaller than {CLEAN_MULTIPLE}x{CLEAN_MULTIPLE}", "give a larger clean picture"
            )
        if self.synthesis is not None:
            return Pair(compose(clean, dict(self.synthesis.strengths), seed=self.synthesis.seed), clean)
        return Pair(add_noise(clean, NOISE_SIGMA[self.task], file_name=self.input_path.name), clean)

    @property
    def digests(self) -> frozenset[str]:
        """Hashes of both files."""
        return frozenset((self.input_digest, self.digest))


@dataclass(frozen=True)
class Dataset:
    """Samples of any tasks, in a fixed order, and what was left out."""

    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()
    sha256: str = field(init=False)
    """Hash over names, files and synthesis; two machines with equal files get equal hashes."""

    def __post_init__(self) -> None:
        identities = [[s.name, s.task, s.input_digest, s.digest, _plain(s.synthesis)] for s in self.samples]
        object.__setattr__(self, "sha256", sha256_of_value(identities))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that have samples, in the order of Task."""
        present = {sample.task for sample in self.samples}
        return tuple(task for task in Task if task in present)

    def of(self, tasks: Iterable[Task]) -> Self:
        """Only the samples of these tasks; DataError where one has none."""
        wanted = frozenset(tasks)
        missing = [task for task in Task if task in wanted.difference(self.tasks)]
        if missing:
            raise DataError(
                f"no picture for {', '.join(missing)}", f"give data for it; there is {', '.join(self.tasks) or 'none'}"
            )
        return self.only(sample for sample in self.samples if sample.task in wanted)

    def only(self, samples: Iterable[Sample]) -> Self:
        """The same data with these samples."""
        return type(self)(tuple(samples), self.skipped)


def require_targets(dataset: Dataset) -> None:
    """DataError naming the first sample without a target."""
    for sample in dataset.samples:
        if sample.target_path is None:
            raise DataError(
                f"{sample.name} ({sample.input_path}) has no target, and PSNR needs one",
                "put a picture of the same name into the set's folder target",
            )


def require_readable(dataset: Dataset, *, progress: Progress = silent) -> None:
    """PictureError naming the first sample that cannot be loaded, before hours are spent on the others."""
    for sample in progress(dataset.samples, "reading pictures"):
        sample.load()


def cropped(pixels: Pixels, multiple: int) -> Pixels:
    """The centre of (3, H, W) whose sides are multiples of `multiple`; an odd rest loses its last row or column."""
    _, height, width = pixels.shape
    top, left = height % multiple // 2, width % multiple // 2
    bottom, right = top + height // multiple * multiple, left + width // multiple * multiple
    return pixels[:, top:bottom, left:right].copy()


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[2]}x{pixels.shape[1]}"


def _plain(synthesis: Synthesis | None) -> Mapping[str, object] | None:
    return None if synthesis is None else {"strengths": dict(synthesis.strengths), "seed": synthesis.seed}
