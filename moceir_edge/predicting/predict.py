"""Lower bounds for an artifact on a device that need not be there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moceir_edge.artifacts import Artifact, artifact_sha256, read_artifact
from moceir_edge.device_profile import DeviceProfile, profile_name, read_device_profile
from moceir_edge.errors import ArtifactError, InputError
from moceir_edge.predicting.cost import bound, unbounded
from moceir_edge.predicting.rates import Rates, rates_of
from moceir_edge.predicting.result import Prediction
from moceir_edge.records import Skipped
from moceir_edge.targets.target import recipe_of
from moceir_edge.targets.work_list import WORK_FILE, WorkList
from moceir_edge.terms import SIZE_MULTIPLE, TargetName

SIZES = ((256, 256), (720, 1280), (3000, 4000))
"""Height and width for which an artifact of any size is predicted: the size of crops, HD, and a 12-megapixel photo."""


def predict(artifact: Path, device: str, *, sizes: Sequence[tuple[int, int]] = ()) -> Prediction:
    """The least time and energy that a device can take for one picture of each size, however it is run.

    artifact: its folder. device: name of a profile, or a file. sizes: (height, width); without any, those of the
    artifact, or `SIZES`. Sides are padded to multiples of 8, as for a run. Errors: InputError for a device that does
    not run the artifact's target, and for a size that it does not serve; ArtifactError and its kinds.
    """
    found = read_artifact(artifact)
    profile, name = read_device_profile(device), profile_name(device)
    refusal = refusal_of(profile, name, found.target)
    if refusal is not None:
        raise InputError(refusal, "export for a target that it runs, or name another device")
    rates = rates_of(profile, recipe_of(found))
    return prediction(artifact, found, rates, device=name, title=profile.title, sizes=sizes)


def refusal_of(profile: DeviceProfile, name: str, target: TargetName) -> str | None:
    """Why a device does not run a target; None where it does."""
    if profile.runtime(target) is not None:
        return None
    return f"{name} runs {', '.join(runtime.target for runtime in profile.runtimes)}, not {target}"


def prediction(
    folder: Path,
    artifact: Artifact,
    rates: Rates | str,
    *,
    device: str,
    title: str,
    sizes: Sequence[tuple[int, int]],
) -> Prediction:
    """The bounds of an artifact with these rates, or with none, for the reason given."""
    work = read_work(folder)
    known = Rates(rates=()) if isinstance(rates, str) else rates
    gaps = tuple(unbounded(work, known))
    if isinstance(rates, str):
        gaps = (Skipped(what="latency and energy", reason=rates),)
    stored = artifact.counts.size_bytes
    return Prediction(
        device=device,
        title=title,
        artifact_sha256=artifact_sha256(folder),
        target=artifact.target,
        precision=artifact.precision,
        rates=known,
        sizes=tuple(bound(work, size, known, stored_bytes=stored) for size in served_sizes(artifact, sizes)),
        unbounded=gaps,
        complete=all(known.of(group.precision) is not None for group in work.groups),
    )


def read_work(folder: Path) -> WorkList:
    """What an artifact computes; ArtifactError for one that does not say."""
    path = folder / WORK_FILE
    if not path.is_file():
        raise ArtifactError(
            f"{folder}: the artifact does not say what it computes (no {WORK_FILE})", "export the model again"
        )
    return WorkList.read(path)


def served_sizes(artifact: Artifact, sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What is predicted, each once: the sizes asked for, padded, or those that the artifact names."""
    own = fixed_sizes(artifact)
    largest = artifact.largest
    asked = [_padded(size) for size in sizes] or own or [size for size in SIZES if _within(size, largest)]
    asked = asked or ([] if largest is None else [largest])
    for height, width in asked:
        if largest is not None and not _within((height, width), largest):
            what = f"the artifact does not serve {width}x{height}"
            raise InputError(what, f"ask for {largest[1]}x{largest[0]} or less: larger pictures are cut into tiles")
        if own and (height, width) not in own:
            served = ", ".join(f"{w}x{h}" for h, w in own)
            raise InputError(f"the artifact does not serve {width}x{height}", f"ask for {served}, or export again")
    return tuple(dict.fromkeys(asked))


def fixed_sizes(artifact: Artifact) -> list[tuple[int, int]]:
    """(height, width) that an artifact of fixed sizes serves; empty for one that serves any."""
    if artifact.fixed_size is None:
        return []
    recipe = recipe_of(artifact)
    return [artifact.fixed_size, *(recipe.coreml_options.more_sizes if recipe.target is TargetName.COREML else ())]


def _within(size: tuple[int, int], largest: tuple[int, int] | None) -> bool:
    return largest is None or (size[0] <= largest[0] and size[1] <= largest[1])


def _padded(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if height < 1 or width < 1:
        raise InputError(f"no picture is {width}x{height}", "give a height and a width of 1 or more")
    return height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE
