"""What a training file says: the network, its data, the schedule, and what is written on the way."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from moceir_edge.network.architecture import SIZES
from moceir_edge.recipe.yaml_file import read_yaml, validated
from moceir_edge.records import Record
from moceir_edge.terms import NOISE_SIGMA, SIZE_MULTIPLE, Task

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Layout(StrEnum):
    """How a folder of training data is laid out; the published ones are those of the authors' code.

    sets: our DATA layout. clean: pictures at any depth, degraded on the way. reside, rain, gopro, lol, cdd11: the
    published folders (`part1..4` and `clear`, `rainy` and `gt`, `input_crops` and `target_crops`, `input` and `target`,
    `clear` and one folder for each of the eleven degradations).
    """

    SETS = "sets"
    CLEAN = "clean"
    RESIDE = "reside"
    RAIN = "rain"
    GOPRO = "gopro"
    LOL = "lol"
    CDD11 = "cdd11"


class Source(Record):
    """A folder of training pictures.

    repeats: how often each of them comes in one pass. tasks: of clean pictures, each a sample of its own; of our sets,
    those that are taken (none: all). strength: of every degradation that is made, where it has several.
    """

    folder: Path
    layout: Layout
    repeats: Count = 1
    tasks: tuple[Task, ...] = ()
    strengths: dict[Task, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _made_from_something(self) -> Self:
        if self.layout is Layout.CLEAN and not self.tasks:
            raise ValueError("clean pictures need tasks to be degraded for")
        if self.strengths and self.layout is not Layout.CLEAN:
            raise ValueError("strengths are for clean pictures")
        if self.tasks and self.layout not in (Layout.CLEAN, Layout.SETS):
            raise ValueError(f"tasks are for clean pictures and sets: {self.layout} has its own")
        idle = [task for task in self.strengths if task not in self.tasks or task in NOISE_SIGMA]
        if idle:
            raise ValueError(f"nothing takes the strengths of {idle[0]}")
        lacking = [task for task in self.tasks if task not in NOISE_SIGMA and task not in self.strengths]
        if self.layout is Layout.CLEAN and lacking:
            raise ValueError(f"{lacking[0]} needs strengths")
        return self


class Loss(Record):
    """L1 + frequency * mean |rfft2 difference| + balance * how unevenly experts are used.

    complexity: weigh each expert's use by its size, the paper's method; the published commands leave it off.
    scope: of the balance loss, each process by itself as published, or the batch of all of them together.
    """

    frequency: Annotated[float, Field(ge=0)] = 0.1
    balance: Annotated[float, Field(ge=0)] = 0.01
    complexity: bool = True
    scope: Literal["process", "global"] = "process"


class Distil(Record):
    """What a student learns from a teacher, beside the target (the idea: Hinton, Vinyals and Dean, 2015).

    output: weight of the mean absolute difference between their restored pictures. features: of the difference between
    what their stages give (after FitNets, Romero et al., 2015). target: of the loss against the target.
    """

    output: Annotated[float, Field(ge=0)] = 1.0
    features: Annotated[float, Field(ge=0)] = 0.1
    target: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if self.output == self.features == 0:
            raise ValueError("output and features are both 0: nothing is learned from the teacher")
        return self


class Schedule(Record):
    """AdamW with a linear warm-up from 0 and a cosine to 0 at step `cosine`, of which `steps` are run.

    expert_rate: how much faster than the rest the experts learn.
    """

    steps: Count
    warmup: Annotated[int, Field(ge=0)]
    cosine: Count
    rate: Annotated[float, Field(gt=0, le=1)] = 2e-4
    expert_rate: Annotated[float, Field(gt=0, le=100)] = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.warmup <= self.steps <= self.cosine:
            raise ValueError("warmup <= steps <= cosine does not hold")
        return self


class Validation(Record):
    """Pictures that are restored on the way: PSNR and routing for each task, every so many steps."""

    folder: Path
    tasks: tuple[Task, ...] = ()
    pictures: Count = 4
    crop: Annotated[int, Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)] = 256
    every: Count = 500


class TrainingRecipe(Record):
    """One training run.

    size: of a new network. start: in place of it, a MODEL whose weights are trained on; a file with neither is for who
    brings a network along. distil: for who brings a teacher. expert_share: size of what experts add, against what they
    add it to, when training starts; None leaves them as they are, a few thousandths where PyTorch made them. batch:
    samples of one process in one step of `accumulate`. patch: side in pixels. unreadable: how many pictures may be
    damaged. checkpoint_every: in steps. cache_mib: decoded pictures that are kept, by each process that reads data.
    """

    size: str | None = None
    start: Path | None = None
    data: Annotated[tuple[Source, ...], Field(min_length=1)]
    validation: Validation | None = None
    patch: Annotated[int, Field(ge=32, multiple_of=SIZE_MULTIPLE)] = 128
    batch: Count = 8
    accumulate: Count = 1
    schedule: Schedule
    loss: Loss = Loss()
    distil: Distil | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.999
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    expert_share: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int, Field(ge=0)] = 2
    cache_mib: Annotated[int, Field(ge=0)] = 1024
    unreadable: Annotated[int, Field(ge=0)] = 10
    checkpoint_every: Count = 500

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if self.size is not None and self.start is not None:
            raise ValueError("size and start: give one of them; the weights to start from have a size of their own")
        if self.size is not None and self.size not in SIZES:
            raise ValueError(f"size: '{self.size}' is not one of {', '.join(SIZES)}")
        return self


def read_training(path: Path) -> TrainingRecipe:
    """Read a training file; RecipeError lists every problem with its line."""
    return validated(read_yaml(path), TrainingRecipe)
