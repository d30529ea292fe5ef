"""Pictures as every row of a comparison sees them: one size rule for the reference and all candidates."""

from __future__ import annotations

from dataclasses import dataclass

from moceir_edge.data.dataset import Sample
from moceir_edge.runner import Image, centre, pad
from moceir_edge.terms import SIZE_MULTIPLE

Size = tuple[int, int]


@dataclass(frozen=True)
class Fitted:
    """image: (3, H, W) padded to a served size; source, target: the part inside it that is compared."""

    sample: Sample
    image: Image
    source: Image
    target: Image | None

    def inside(self, restored: Image) -> Image:
        """The compared part of an output of the padded size."""
        return restored[:, : self.source.shape[1], : self.source.shape[2]]


def fit(sample: Sample, size: Size | None) -> Fitted:
    """Load a sample; for a fixed (height, width) its centre is cut out where it is larger, else it is padded."""
    pair = sample.load()
    source = pair.input if size is None else centre(pair.input, size)
    target = pair.target if size is None or pair.target is None else centre(pair.target, size)
    height, width = source.shape[1:]
    served = size or (height + -height % SIZE_MULTIPLE, width + -width % SIZE_MULTIPLE)
    return Fitted(sample, pad(source, served), source, target)
