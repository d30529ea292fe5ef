"""From a model to a job for each variant: files in a folder, or the reason why there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from moceir_edge.benchmarking import foreign
from moceir_edge.benchmarking.jobs import Job, Library
from moceir_edge.benchmarking.kernels import onnxruntime_gap, openvino_gap
from moceir_edge.benchmarking.straightforward import export_straightforward
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.data.dataset import Dataset
from moceir_edge.errors import GateError, MissingBackendError
from moceir_edge.exporting import calibrate, require_target, write_model
from moceir_edge.network.checkpoint import LoadedModel, save
from moceir_edge.network.golden import PREFIX
from moceir_edge.processor import has_vnni
from moceir_edge.program.lower import lower
from moceir_edge.recipe.read import read_recipe
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.resources import bundled
from moceir_edge.targets.target import target_of
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.targets.to_openvino import hint_here
from moceir_edge.terms import Precision, Progress, TargetName, silent

PICTURE, STRAIGHTFORWARD = "picture.npy", "straightforward.onnx"


SPEED_ONLY_DB = 0.0
"""Residual SNR asked of golden weights: int8 noise on random weights says nothing, only their speed is measured."""

ANY_LOSS_DB = 100.0
"""PSNR that golden weights may lose."""


RECIPES = {TargetName.ONNX: "desktop", TargetName.OPENVINO: "openvino"}
"""The bundled recipe of each runtime that is timed."""


def recipe_of(
    precision: Precision, size: tuple[int, int], *, target: TargetName = TargetName.ONNX, speed_only: bool = False
) -> Recipe:
    """The bundled recipe at a fixed size; full 8-bit weights where VNNI is sure."""
    said = read_recipe(bundled("export", RECIPES[target])).model_dump(mode="json", exclude_none=True)
    said |= {"precision": precision, "size": list(size)}
    if precision is Precision.INT8:
        said["quantize"] |= {"reduced_range": has_vnni() is not True}
        if speed_only:
            reason = "golden weights serve for speed only"
            said["limits"] = {
                "residual_snr_db": {"value": SPEED_ONLY_DB, "reason": reason},
                "quality_loss_db": {"value": ANY_LOSS_DB, "reason": reason},
                "worst_loss_db": {"value": ANY_LOSS_DB, "reason": reason},
            }
    else:
        said = {key: section for key, section in said.items() if key not in {"quantize", "openvino"}}
    return Recipe.model_validate(said)


@dataclass(frozen=True)
class Workshop:
    """Where variants are built, and of what; the picture lies in the folder as `PICTURE`."""

    full: LoadedModel
    kept: LoadedModel
    calibration: Dataset
    size: tuple[int, int]
    threads: int
    folder: Path
    progress: Progress = silent
    whole: LoadedModel | None = None
    _made: dict[str, Path] = field(default_factory=dict)

    def build(self, variant: Variant) -> Job | Skipped:
        """Write what the variant runs; a library that is missing or cannot do it is a reason, not an end."""
        gap = _GAPS.get(variant, lambda: None)
        try:
            reason = gap()
            return Skipped(what=variant, reason=reason) if reason else _BUILDERS[variant](self)
        except (MissingBackendError, GateError, foreign.ForeignError) as error:
            return Skipped(what=variant, reason=str(error))

    def once(self, name: str, write: Callable[[Path], object]) -> Path:
        """A file that several variants need, written the first time."""
        if name not in self._made:
            write(self.folder / name)
            self._made[name] = self.folder / name
        return self._made[name]

    def straightforward(self) -> Path:
        """The plain export of the kept model."""
        action = partial(export_straightforward, self.kept.network, self.size)
        return self.once(STRAIGHTFORWARD, action)

    @cached_property
    def crops(self) -> foreign.Crops:
        """Calibration pictures of the size, the same for every quantizer."""
        recipe = recipe_of(Precision.INT8, self.size)
        program = target_of(recipe.target).prepare(lower(self.kept.network), recipe)
        crops = calibrate(program, self.calibration, recipe)
        return [crop.image for crop in crops]

    def job(self, variant: Variant, library: Library, path: Path, *, hint: str | None = None) -> Job:
        """A job for a file; OpenVINO keeps weights beside it."""
        files = {path, path.with_suffix(".bin")} if path.suffix == ".xml" else {path}
        return Job(
            variant=variant,
            library=library,
            file=str(path),
            picture=str(self.folder / PICTURE),
            threads=self.threads,
            size=self.size,
            size_bytes=sum(file.stat().st_size for file in files),
            precision_hint=hint,
        )


def _eager(shop: Workshop, variant: Variant, library: Library) -> Job:
    path = shop.once("full.safetensors", partial(save, shop.full))
    return shop.job(variant, library, path)


def _straightforward(shop: Workshop) -> Job:
    return shop.job(Variant.STRAIGHTFORWARD, Library.ONNXRUNTIME, shop.straightforward())


def _artifact(
    shop: Workshop,
    variant: Variant,
    precision: Precision,
    target: TargetName = TargetName.ONNX,
    model: LoadedModel | None = None,
) -> Job:
    """model: the kept one without it."""
    model = model or shop.kept
    folder = shop.folder / variant
    folder.mkdir()
    recipe = recipe_of(precision, shop.size, target=target, speed_only=model.origin.startswith(PREFIX))
    require_target(recipe)
    exported = write_model(model, recipe, shop.calibration, folder, progress=shop.progress).exported
    openvino = target is TargetName.OPENVINO
    library, hint = (Library.OPENVINO, hint_here(recipe)) if openvino else (Library.ONNXRUNTIME, None)
    job = shop.job(variant, library, folder / exported.model, hint=hint)
    if precision is not Precision.INT8:
        return job
    plan = PrecisionPlan.read(folder / PLAN_FILE)
    return job.model_copy(update={"integer_share": exported.integer_share, "integer": tuple(plan.integer)})


def _bfloat16(shop: Workshop) -> Job:
    del shop
    raise foreign.ForeignError("the runtime has bfloat16 convolutions here, but bfloat16 is written for OpenVINO only")


def _whole(shop: Workshop) -> Job:
    return _artifact(shop, Variant.WHOLE, Precision.FLOAT32, model=shop.whole)


def _int8_default(shop: Workshop, variant: Variant, library: Library) -> Job:
    write = partial(foreign.quantize_onnx, shop.straightforward(), shop.crops)
    return shop.job(variant, library, shop.once("int8-default.onnx", write))


def _openvino(shop: Workshop, variant: Variant, hint: str) -> Job:
    return shop.job(variant, Library.OPENVINO, shop.straightforward(), hint=hint)


def _openvino_int8(shop: Workshop) -> Job:
    write = partial(foreign.quantize_openvino, shop.straightforward(), shop.crops)
    return shop.job(Variant.OPENVINO_INT8, Library.OPENVINO, shop.once("openvino-int8.xml", write))


def _ours_in_openvino(variant: Variant, precision: Precision) -> Callable[[Workshop], Job]:
    return partial(_artifact, variant=variant, precision=precision, target=TargetName.OPENVINO)


def _no_compiler() -> str | None:
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    return None if any(name and shutil.which(name) for name in names) else "torch.compile needs a C++ compiler"


_GAPS: dict[Variant, Callable[[], str | None]] = {
    Variant.COMPILE: _no_compiler,
    Variant.FLOAT16: partial(onnxruntime_gap, "float16"),
    Variant.BFLOAT16: partial(onnxruntime_gap, "bfloat16"),
    Variant.BFLOAT16_OPENVINO: partial(openvino_gap, "BF16"),
    Variant.OPENVINO_FLOAT32: partial(openvino_gap, "FP32"),
    Variant.OPENVINO_BFLOAT16: partial(openvino_gap, "BF16"),
    Variant.OPENVINO_INT8: partial(openvino_gap, "INT8"),
    Variant.OPENVINO_INT8_ONNX: partial(openvino_gap, "INT8"),
}

_BUILDERS: dict[Variant, Callable[[Workshop], Job]] = {
    Variant.EAGER: partial(_eager, variant=Variant.EAGER, library=Library.PYTORCH),
    Variant.COMPILE: partial(_eager, variant=Variant.COMPILE, library=Library.PYTORCH_COMPILED),
    Variant.STRAIGHTFORWARD: _straightforward,
    Variant.LOWERED: partial(_artifact, variant=Variant.LOWERED, precision=Precision.FLOAT32),
    Variant.FLOAT16: partial(_artifact, variant=Variant.FLOAT16, precision=Precision.FLOAT16),
    Variant.BFLOAT16: _bfloat16,
    Variant.INT8_DEFAULT: partial(_int8_default, variant=Variant.INT8_DEFAULT, library=Library.ONNXRUNTIME),
    Variant.INT8: partial(_artifact, variant=Variant.INT8, precision=Precision.INT8),
    Variant.LOWERED_OPENVINO: _ours_in_openvino(Variant.LOWERED_OPENVINO, Precision.FLOAT32),
    Variant.BFLOAT16_OPENVINO: _ours_in_openvino(Variant.BFLOAT16_OPENVINO, Precision.BFLOAT16),
    Variant.INT8_OPENVINO: _ours_in_openvino(Variant.INT8_OPENVINO, Precision.INT8),
    Variant.OPENVINO_FLOAT32: partial(_openvino, variant=Variant.OPENVINO_FLOAT32, hint="f32"),
    Variant.OPENVINO_BFLOAT16: partial(_openvino, variant=Variant.OPENVINO_BFLOAT16, hint="bf16"),
    Variant.OPENVINO_INT8: _openvino_int8,
    Variant.WHOLE: _whole,
    Variant.OPENVINO_INT8_ONNX: partial(_int8_default, variant=Variant.OPENVINO_INT8_ONNX, library=Library.OPENVINO),
}
