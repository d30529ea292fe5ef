"""`check`: the bundle is whole, its runtime loads it, and the golden pictures come out as they should."""

from __future__ import annotations

from backend import open_backend
from golden import golden_rows, missed
from problem import GATE_FAILED
from saying import complain, say


def check(folder, manifest, *, signed, threads):
    """Exit code 0, or 3 where a golden picture is not what it should be. Everything else was looked at before."""
    total = sum(entry["size_bytes"] for entry in manifest["files"].values()) / 2**20
    say("{}: {} files, {:.1f} MiB, unaltered; {}".format(manifest["name"], len(manifest["files"]), total, signed))
    backend = open_backend(folder, manifest, threads=threads)
    built = "" if backend.build_ms is None else ", engine built in {:.0f} s".format(backend.build_ms / 1000)
    say(
        "{name} {version}, {provider}: loaded in {load:.0f} ms{built}".format(
            load=backend.load_ms, built=built, **backend.runtime
        )
    )
    rows = golden_rows(folder, manifest, backend)
    for golden, row in zip(manifest["golden"], rows):
        say(row_text(golden, row))
    wrong = list(missed(manifest, rows))
    for text in wrong:
        complain("error: {}; this device gives another picture: do not ship it".format(text))
    return GATE_FAILED if wrong else 0


def row_text(golden, row):
    """A golden picture in words."""
    psnr = "equal" if row["psnr_db"] is None else "{:.2f} dB".format(row["psnr_db"])
    said = "{} to the full model".format(psnr) if row["finite"] else "NaN or infinity"
    floor, agreement = golden.get("floor_db"), row["agreement"]
    said += "" if floor is None else " (at least {:.1f})".format(floor)
    said += "" if agreement is None else ", agreement {:.2f}".format(agreement)
    return "{}: {}".format(row["name"], said)
