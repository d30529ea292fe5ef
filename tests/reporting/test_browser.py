"""The report in a real browser: what it draws is not blank, and what its DOM says equals the JSON."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moceir_edge.reporting.build import report
from tests.reporting.page import Page, assert_true_numbers
from tests.reporting.synthetic import write_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DARK = "--force-dark-mode"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium of whatever name."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed, none of {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with its report."""
    folder = write_run(tmp_path_factory.mktemp("run"))
    report(folder)
    return folder


def ask(browser: str, profile: Path, *flags: str, page: Path) -> str:
    """What the browser prints; its profile is new and empty."""
    command = [browser, *QUIET, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 500])
def test_it_is_drawn(browser: str, run: Path, tmp_path: Path, width: int, flags: tuple[str, ...]) -> None:
    """Paper of the right brightness, ink on it from top to bottom, on a desk and on a narrow screen."""
    picture = tmp_path / "page.png"
    size = f"--window-size={width},3000"
    ask(browser, tmp_path / "profile", f"--screenshot={picture}", size, *flags, page=run / "report.html")
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape[1] == width
    assert (np.median(pixels) < 60) if flags else (np.median(pixels) > 240)
    bands = np.array_split(pixels, 6)
    assert all(band.std() > 5 for band in bands)


def test_dom_equals_the_json(browser: str, run: Path, tmp_path: Path) -> None:
    """The numbers that a person sees in the browser are those of the JSON, and no name became an element."""
    dom = ask(browser, tmp_path / "profile", "--dump-dom", page=run / "report.html")
    page = Page(dom)
    assert len(page.numbers) > 200
    assert_true_numbers(run, page.numbers)
    assert "script" not in page.tags
