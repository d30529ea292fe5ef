"""What a device wrote, read as the result of the bundle that went there."""

from __future__ import annotations

from pydantic import ValidationError

from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.cargo import Cargo


def result_of(data: bytes, cargo: Cargo, place: str) -> ProfileResult:
    """The result that a device wrote; DeviceError where it is none, or one of another bundle."""
    try:
        result = ProfileResult.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        what = f"{place}: its result is not one of devices/result.schema.json: {where}: {first['msg']}"
        raise DeviceError(what, "use the bundle and the runner of one version") from error
    if result.bundle_sha256 != cargo.bundle_sha256 or result.artifact_sha256 != cargo.manifest.artifact_sha256:
        raise DeviceError(f"{place}: its result is of another bundle", "profile it again")
    return result
