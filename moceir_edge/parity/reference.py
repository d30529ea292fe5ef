"""The reference: what the full model in float32 gives, recorded once for a model, its data and a size."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import MoceIR
from moceir_edge.parity.fit import Size, fit
from moceir_edge.records import Record, replacing_file, sha256_of_value
from moceir_edge.runner import Image, NetworkRunner
from moceir_edge.terms import Progress, silent


class Reference(Record):
    """What was recorded, and where and with what; outputs lie beside it as float32 .npy by sample name."""

    model_sha256: str
    data_sha256: str
    size: tuple[int, int] | None
    device: str
    torch: str
    pictures: tuple[str, ...]


def record_reference(
    model: LoadedModel, dataset: Dataset, folder: Path, *, size: Size | None, progress: Progress = silent
) -> Reference:
    """Run the model on every sample without an output in `folder`; a killed recording goes on where it stopped.

    On the GPU where there is one, in full float32 (no TF32), else on the CPU.
    """
    runner = NetworkRunner(model.network)
    label = "recording the reference" + ("" if size is None else f" at {size[1]}x{size[0]}")
    with _fastest_device(model.network) as device:
        for sample in progress(dataset.samples, label):
            path = output_path(folder, sample)
            if path.exists():
                continue
            with replacing_file(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, runner.run(fit(sample, size).image).restored)
    return Reference(
        model_sha256=model.sha256,
        data_sha256=dataset.sha256,
        size=size,
        device=device,
        torch=torch.__version__,
        pictures=tuple(sample.name for sample in dataset.samples),
    )


@contextmanager
def _fastest_device(network: MoceIR) -> Iterator[str]:
    """Gives the name of what computes; afterwards the network is on the CPU again."""
    if not torch.cuda.is_available():
        yield platform.processor() or platform.machine()
        return
    conv, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = conv.allow_tf32, matmul.allow_tf32, conv.deterministic
    conv.allow_tf32, matmul.allow_tf32, conv.deterministic = False, False, True
    try:
        network.to("cuda")
        yield torch.cuda.get_device_name()
    finally:
        network.to("cpu")
        conv.allow_tf32, matmul.allow_tf32, conv.deterministic = before


def output_path(folder: Path, sample: Sample) -> Path:
    """Where a sample's output lies; the hash keeps names apart that differ only in separators or case."""
    return folder / f"{sample.name.replace('/', '__')}.{sha256_of_value(sample.name)[:8]}.npy"


def read_output(folder: Path, sample: Sample) -> Image:
    """(3, H, W) float32 of the padded size."""
    output: Image = np.load(output_path(folder, sample))
    return output
