"""Pytest plugin for CI (`-p tests.ci_skips`): a skip fails, unless its reason says that no such machine can run it.

Such a reason starts with "not here:", as in `pytest.skip("not here: Core ML runs on macOS only")`.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

ALLOWED = "not here:"


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The reason given for a skip."""
    place = report.longrepr
    text = place[2] if isinstance(place, tuple) else str(place)
    return text.removeprefix("Skipped: ")


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure; an expected failure is no skip."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = reason_of(report)
    if not reason.startswith(ALLOWED):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped in CI, where it must run: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a skip in a test or its fixtures."""
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge a skip of a whole file, as by `importorskip`."""
    report = yield
    fail_if_skipped(report)
    return report
