"""What a bundle says to a person on the device: README.md of ten lines, and run.sh."""

from __future__ import annotations

from moceir_edge.bundling.manifest import BundleManifest
from moceir_edge.device_result import RunnerName

RUN_SH = """#!/bin/sh
# check, profile or restore with the runner beside this file, or beside what links to it lead to;
# MOCEIR_EDGE_PYTHON names another Python.
here=$(readlink -f -- "$0" 2>/dev/null) || here=$0
exec "${MOCEIR_EDGE_PYTHON:-python3}" "$(dirname -- "$here")/runner.pyz" "$@"
"""


def readme(manifest: BundleManifest) -> str:
    """Ten lines."""
    profile, needs = manifest.profile, manifest.needs
    what = f"MoCE-IR for {', '.join(manifest.tasks)} on {profile.title}: {manifest.target}, {manifest.precision}."
    memory = "" if needs.memory_mib is None else f" and {needs.memory_mib:.0f} MiB of memory"
    lines = [
        f"# {manifest.name}",
        f"{what} Needs {_runtime(manifest)}{memory}.",
        "",
        *_steps(manifest),
    ]
    return "\n".join(lines) + "\n"


_OPENING = {
    RunnerName.ANDROID: "The app of devices/android opens this file; or `moceir-edge profile THIS_FILE --device adb`.",
    RunnerName.IOS: "Unpack it, copy the folder into the app of devices/ios (Finder or Files), and there: Profile.",
    RunnerName.BROWSER: "Unpack it, `moceir-edge serve FOLDER`, on the page: Model and device, Profile this device.",
}
"""What a person does where the runner is no script in the bundle."""


def _steps(manifest: BundleManifest) -> list[str]:
    hold, free = manifest.profile.hold_clocks, manifest.profile.free_clocks
    clocks = [
        f"1. Hold the clocks: {_commands(hold)}",
        f"   Afterwards let them go: {_commands(free)}",
    ]
    if manifest.runner is not RunnerName.PYTHON:
        return [
            *clocks,
            f"2. {_OPENING[manifest.runner]}",
            "3. It checks every hash of manifest.json, restores the golden pictures and times them.",
            "4. It writes a result in the schema of all runners (devices/result.schema.json).",
            "5. On the computer: `moceir-edge profile --import RESULT`, and `--compare RESULT ANOTHER`",
            f"The artifact's sha256 is {manifest.artifact_sha256}.",
        ]
    return [
        *clocks,
        "2. Check: `./run.sh check` (hashes, runtime, golden pictures; and its owner with `--require-signature KEY`)",
        "3. Profile: `./run.sh profile --out result.json` (latency, memory, power; `moceir-edge profile` compares)",
        "4. Restore: `./run.sh restore photo.jpg --out restored` (8-bit PNG, JPEG, WebP or TIFF up to 67 megapixels)",
        f"It needs Python {manifest.profile.python or '3.8'} or later with numpy, Pillow and {manifest.needs.runtime};",
        "`MOCEIR_EDGE_PYTHON=/path/to/python3` before a command takes another Python than python3.",
    ]


def _commands(commands: tuple[str, ...]) -> str:
    return " ; ".join(f"`{command}`" for command in commands) or "this profile knows no command for that"


def _runtime(manifest: BundleManifest) -> str:
    needs = manifest.needs
    from_, below = needs.from_version, needs.below_version
    return f"{needs.runtime}{f' from {from_}' if from_ else ''}{f' below {below}' if below else ''}"
