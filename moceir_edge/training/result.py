"""What a training run has come to."""

from __future__ import annotations

from moceir_edge.records import Record


class Trained(Record):
    """psnr: the last validation, in dB, by task; unreadable: pictures that were passed over, with the reason."""

    steps: int
    model: str
    sha256: str
    psnr: dict[str, float]
    unreadable: tuple[str, ...]
