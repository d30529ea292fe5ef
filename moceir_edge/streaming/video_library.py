"""What is known about video files: their names, the library that reads them, and what their colours mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from moceir_edge.errors import MissingBackendError

if TYPE_CHECKING:
    from types import ModuleType

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")

REPAIR = "pip install 'moceir-edge[video]'"

HD_ROWS = 720
"""From here on colours that nothing is said about are taken as BT.709, else as BT.601, as players do."""


def is_video(path: Path) -> bool:
    """Whether the suffix is one of a video and the file is not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def library() -> ModuleType:
    """PyAV; MissingBackendError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MissingBackendError("av is not installed, and video needs it", REPAIR) from error
    return av


def matrix(frame: Any) -> int:
    """The matrix between RGB and the frame's own colours, as FFmpeg numbers them (`AVColorSpace`)."""
    unspecified, rgb, bt709, bt601 = 2, 0, 1, 5
    said = int(frame.colorspace)
    if said in (unspecified, rgb):
        return bt709 if frame.height >= HD_ROWS else bt601
    return said


def swing(frame: Any) -> int:
    """The range of the frame's samples; what says nothing is limited, unless its format is a full one."""
    limited, full = 1, 2
    return int(frame.color_range) or (full if frame.format.name.startswith(("yuvj", "rgb", "gbr")) else limited)
