"""Whether an artifact fits a device profile, and what it needs there."""

from __future__ import annotations

from pathlib import Path

from moceir_edge.artifacts import Artifact
from moceir_edge.device_profile import DeviceProfile, Runtime
from moceir_edge.device_result import RunnerName
from moceir_edge.errors import ArtifactError
from moceir_edge.program.program import CHOSEN
from moceir_edge.targets.qnn_library import NPUS
from moceir_edge.targets.target import recipe_of
from moceir_edge.terms import TargetName
from moceir_edge.tile_plan import SMALLEST

USABLE_SHARE = 0.5
"""Of a device's memory that a program may take, where the profile does not say."""

ENGINE_SHARE = 2
"""What an engine that is built on the device takes on its disk, with its timing cache, in sizes of the model."""


def fitting_runtime(path: Path, artifact: Artifact, device: str, profile: DeviceProfile) -> Runtime:
    """The profile's runtime for an artifact; ArtifactError with what to export instead."""
    runtime = profile.runtime(artifact.target)
    if runtime is None:
        what = f"{path} is for {artifact.target}, and {profile.title} runs {_targets(profile)}"
        raise ArtifactError(what, f"export {_exports(profile)}")
    if artifact.precision not in runtime.precisions:
        what = f"{path} is in {artifact.precision}, and {runtime.library} on {profile.title} runs {_words(runtime)}"
        raise ArtifactError(what, f"export with target: {artifact.target} in {' or '.join(runtime.precisions)}")
    if len(artifact.interface.inputs) > 1 and CHOSEN not in {tensor.name for tensor in artifact.interface.outputs}:
        raise ArtifactError(f"{path}: leaves all routes to the caller", "export it with this version")
    if len(artifact.interface.inputs) > 1 and not _own_runner(profile):
        what = f"{path} takes gates beside the picture, and the {profile.runner} runner of {profile.title} gives none"
        raise ArtifactError(what, "export it with gates_input: false")
    if artifact.target is TargetName.TENSORRT and "build.py" not in artifact.files and _own_runner(profile):
        raise ArtifactError(
            f"{path} holds an engine that was built elsewhere, and {device} builds its own",
            "export it with tensorrt.deliver: onnx",
        )
    _require_chip(path, artifact, profile)
    _require_memory(path, artifact, profile)
    return runtime


def needed_mib(artifact: Artifact) -> float | None:
    """Memory for the smallest picture or tile that is served; None where nobody has measured it."""
    height, width = artifact.fixed_size or (SMALLEST, SMALLEST)
    return None if artifact.memory is None else round(artifact.memory.needed_mib(height, width), 1)


def disk_bytes(artifact: Artifact, files: int) -> int:
    """Of all files of a bundle, in bytes, and of what is built from them on the device."""
    built = ENGINE_SHARE * artifact.counts.size_bytes if artifact.target is TargetName.TENSORRT else 0
    return files + built


def _require_chip(path: Path, artifact: Artifact, profile: DeviceProfile) -> None:
    """A context for an NPU is refused by every other one."""
    if artifact.target is not TargetName.QNN:
        return
    here = recipe_of(artifact).qnn_options.chip
    if NPUS[here].name != profile.chip:
        own = next((chip for chip, npu in NPUS.items() if npu.name == profile.chip), None)
        what = f"{path} is for the NPU of {NPUS[here].name}, and {profile.title} has {profile.chip or 'another chip'}"
        raise ArtifactError(what, "export for another target" if own is None else f"export with qnn.chip: {own}")


def _require_memory(path: Path, artifact: Artifact, profile: DeviceProfile) -> None:
    needed = needed_mib(artifact)
    if needed is None or profile.memory_mib is None:
        return
    share = USABLE_SHARE if profile.usable_share is None else profile.usable_share.value
    usable = share * profile.memory_mib.value
    if needed > usable:
        what = f"{path} takes {needed:.0f} MiB, and of {profile.title}'s memory {usable:.0f} MiB are for one program"
        raise ArtifactError(what, "export with a smaller size, or narrow the model")


def _own_runner(profile: DeviceProfile) -> bool:
    return profile.runner is RunnerName.PYTHON


def _targets(profile: DeviceProfile) -> str:
    return " or ".join(runtime.target for runtime in profile.runtimes)


def _exports(profile: DeviceProfile) -> str:
    return ", or ".join(f"with target: {runtime.target} in {_words(runtime)}" for runtime in profile.runtimes)


def _words(runtime: Runtime) -> str:
    return " or ".join(runtime.precisions)
