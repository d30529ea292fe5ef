"""`devices/result.schema.json`, from the record: `python -m moceir_edge.profiling.schema` writes it."""

from __future__ import annotations

import json

from moceir_edge.device_result import ProfileResult
from moceir_edge.records import replacing_file
from moceir_edge.resources import resource

NAME = "result.schema.json"


def schema_text() -> str:
    """JSON Schema (draft 2020-12) of what every runner writes."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ProfileResult.model_json_schema()}
    return json.dumps(schema, indent=1) + "\n"


def write_schema() -> None:
    """Write it where runners in other languages look for it."""
    with replacing_file(resource("devices") / NAME) as temporary:
        temporary.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
