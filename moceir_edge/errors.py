"""Every error a user can meet, as one tree.

MoceirEdgeError                 what went wrong, and what to do about it
├── InputError                  exit 2: something the user gave is wrong
│   ├── CheckpointError         a MODEL that cannot be loaded
│   ├── PictureError            a picture that cannot be read, or is not fit for use
│   ├── DataError               a DATA folder, a manifest or a split
│   ├── RecipeError             a recipe
│   ├── PlanError               a plan that cannot be made or is not worth making
│   ├── ArtifactError           an artifact that was altered, is newer, or does not serve the request
│   ├── OutputError             an output that exists, or cannot be written
│   ├── DeviceError             a device that cannot be reached, or cannot run what it was given
│   └── MissingBackendError     a library that is not installed
└── GateError                   exit 3: a gate failed
"""

from __future__ import annotations

from typing import ClassVar


class MoceirEdgeError(Exception):
    """Base of all errors: `what` was wrong (one line) and the `remedy` (one line)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[MoceirEdgeError], tuple[str, str]]:
        return type(self), (self.what, self.remedy)


class InputError(MoceirEdgeError):
    """Something the user gave is wrong."""

    exit_code = 2


class CheckpointError(InputError):
    """A model file that is missing, damaged, unsafe or of another network."""


class PictureError(InputError):
    """A picture that cannot be decoded, is too large, or does not fit its pair."""


class DataError(InputError):
    """A data folder or manifest without what the command needs."""


class RecipeError(InputError):
    """A recipe with unknown, doubled, contradictory or impossible entries."""


class PlanError(InputError):
    """A plan that cannot satisfy what was asked."""


class ArtifactError(InputError):
    """An artifact that is incomplete, altered, newer than this version, or does not serve a size."""


class OutputError(InputError):
    """An output that already exists or cannot be written."""


class DeviceError(InputError):
    """A device that is not reached, not trusted, too small, without what a bundle needs, or that answers nonsense."""


class MissingBackendError(InputError):
    """A library that the request needs is not installed."""


class GateError(MoceirEdgeError):
    """A gate failed: which one, its value and its limit."""

    exit_code = 3
