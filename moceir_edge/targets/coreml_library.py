"""coremltools, loaded late and quietly: what it says on import and conversion that concerns nobody is left out.

Pinned to 9.0, because a package is read back through a private module.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from moceir_edge.errors import MissingBackendError

REPAIR = "pip install 'moceir-edge[coreml]'"
VERSION = "9.0"

_NOISE = ("scikit-learn version", "Torch version", "Failed to load _ML")
"""Versions for converters that are not used here, and runtimes that exist on macOS only."""


def missing() -> str | None:
    """None if coremltools is installed in the version that can be read back, else what to install."""
    if find_spec("coremltools") is None:
        return f"coremltools is not installed: {REPAIR}"
    from importlib.metadata import version

    found = version("coremltools")
    return None if found == VERSION else f"coremltools {found} is not the version {VERSION} that is needed: {REPAIR}"


def load() -> Any:
    """The module coremltools; MissingBackendError if it is not there."""
    problem = missing()
    if problem is not None:
        raise MissingBackendError(problem.removesuffix(f": {REPAIR}"), REPAIR)
    logger = logging.getLogger("coremltools")
    if _is_news not in logger.filters:
        logger.addFilter(_is_news)
    import coremltools

    return coremltools


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOISE)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Run coremltools' passes without the bars that it draws on stderr for each of them."""
    from coremltools.converters.mil.mil.passes import pass_pipeline

    def plain(items: Iterable[Any], **_: Any) -> Iterable[Any]:
        return items

    shown = pass_pipeline.tqdm
    pass_pipeline.tqdm = plain
    try:
        yield
    finally:
        pass_pipeline.tqdm = shown
