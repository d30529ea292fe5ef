"""The schema for runners in other languages is that of the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moceir_edge.device_result import ProfileResult, read_result
from moceir_edge.errors import ArtifactError
from moceir_edge.profiling.schema import NAME, schema_text
from moceir_edge.resources import resource
from tests.profiling.results import result


def test_the_file_is_what_the_record_says() -> None:
    """`python -m moceir_edge.profiling.schema` writes it."""
    assert (resource("devices") / NAME).read_text(encoding="utf-8") == schema_text()


def test_it_names_every_field_and_allows_no_other() -> None:
    """So a runner that misspells a field is told."""
    schema = json.loads(schema_text())
    assert set(schema["properties"]) == set(ProfileResult.model_fields)
    assert schema["additionalProperties"] is False


def test_a_result_is_read_back(tmp_path: Path) -> None:
    """As it was written."""
    result().write(tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == result()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not a result of a runner"),
        ("[]", "not a result of a runner"),
        ('{"schema_version": 2}', "schema 2 is newer than 1"),
        ('{"schema_version": 1}', "not a ProfileResult: runner: Field required"),
    ],
)
def test_what_is_no_result_is_refused(content: str, says: str, tmp_path: Path) -> None:
    """With what is wrong and what to do."""
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(ArtifactError, match=says):
        read_result(tmp_path / "result.json")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_result(tmp_path / "nowhere.json")


@pytest.mark.parametrize("times", [{"runs_ms": [0.0]}, {"cpu_ms": [-1.0]}, {"yardstick_ms": [0.0]}])
def test_times_that_cannot_be_are_refused(times: dict[str, list[float]], tmp_path: Path) -> None:
    """By the name of the field; a processor time of 0 can be, where the clock ticks slowly."""
    found = result(cpu_ms=[0.0]).model_dump(mode="json")
    found["latency"] |= times
    (tmp_path / "result.json").write_text(json.dumps(found))
    with pytest.raises(ArtifactError, match=rf"latency\.{next(iter(times))}\.0"):
        read_result(tmp_path / "result.json")


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    """A runner must say null, not NaN."""
    result().write(tmp_path / "result.json")
    text = (
        (tmp_path / "result.json")
        .read_text()
        .replace('"load_ms":5.0', '"load_ms":NaN')
        .replace('"load_ms": 5.0', '"load_ms": NaN')
    )
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ArtifactError, match="load_ms"):
        read_result(tmp_path / "result.json")
