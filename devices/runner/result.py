"""`profile`: how fast, how accurate, how large and how hungry the bundle's model is on this device, as result.json."""

import datetime as dt
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import machine
import measuring
import numpy as np
from backend import open_backend
from bundle import bundle_sha256
from golden import golden_rows, missed, read_pair
from pictures import MULTIPLE
from power import open_power
from problem import GATE_FAILED, Problem, refusal
from sampler import Sampler
from saying import complain

SCHEMA = 1
IDLE_S = 2.0
"""How long the idle power is measured, before the model is opened; only where power can be read."""

DEFAULT_SIZE = (256, 256)
"""Height and width that are timed where nothing says otherwise."""

MOST_PIXELS = 2**26
"""As many as a picture may have that is restored (`picture_files`, which needs Pillow)."""

PEAK_OF = (
    "resident memory of the whole process (VmHWM): Python, the runtime, the weights, and one picture at a time; "
    "not what a GPU's driver holds outside of it"
)

BATTERY = "the device ran from its battery"
PACED = "timed in turns with another runner: power, clocks and others' share are of both"


def profile(folder, manifest, given):
    """Profile, write the result to `given.out`; exit code 0, or 3 where a golden picture is not what it should be."""
    require_place(given.out)
    result = profiled(folder, manifest, given)
    write(result, given.out)
    for line in summary(result):
        measuring.say(line)
    wrong = list(missed(manifest, result["accuracy"]))
    for text in wrong:
        complain("error: {}; this device gives another picture: do not ship it".format(text))
    return GATE_FAILED if wrong else 0


def profiled(folder, manifest, given):
    """The result, as devices/result.schema.json says."""
    started = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    base_mib = machine.memory_mib("VmRSS")
    power = open_power([rail["name"] for rail in manifest["profile"].get("rails") or ()])
    try:
        idle_w = idle(power)
        backend = open_backend(folder, manifest, threads=given.threads)
        size = size_of(backend, manifest, folder, given.size)
        image = picture(folder, manifest, size)
        measured, sampler, reasons = timed(backend, image, power, given)
    except MemoryError as error:
        raise Problem("not enough memory: {}; give a smaller --size".format(error)) from error
    finally:
        if power:
            power.close()
    latency, notes = measuring.latency(measured, size, backend.load_ms, backend.build_ms)
    return {
        "schema_version": SCHEMA,
        "runner": manifest["runner"],
        "runner_version": manifest["runner_version"],
        "started_utc": started,
        "bundle_sha256": bundle_sha256(folder),
        **{name: manifest[name] for name in ("artifact_sha256", "target", "precision", "tasks")},
        "device": machine.describe(manifest["device"]),
        "runtime": backend.runtime,
        "versions": backend.versions,
        "latency": latency,
        "memory_peak_mib": machine.memory_mib("VmHWM"),
        "memory_peak_of": PEAK_OF,
        "memory_base_mib": base_mib,
        "energy": energy(power, sampler.mean_w(), idle_w, latency["per_second"]),
        "readings": sampler.kept(),
        "accuracy": accuracy(backend, folder, manifest),
        "operators": operators(folder, manifest, given.threads, image),
        "invalid": reasons + measuring.reasons(measured) + savers(),
        "notes": notes + remarks(given),
    }


def timed(backend, image, power, given):
    """Times, the readings that were taken meanwhile, and why they mean nothing, as far as the device tells."""

    def call():
        return backend.run(image)

    measured = measuring.warm_up(call)
    own = measuring.own_turns(given.runs, given.seconds)
    turns = measuring.paced_turns(sys.stdin, sys.stdout) if given.paced else own
    sampler = Sampler(power)
    sampler.start()
    try:
        measuring.measure(call, measured, turns, on_processor(backend))
    finally:
        reasons = sampler.finish(alone=not given.paced)
    if not measured.runs_ms:
        raise Problem("no run was asked for; nothing is written")
    return measured, sampler, reasons


def idle(power):
    """Watts of the device before the model is opened; None where nothing tells."""
    if power is None:
        return None
    measuring.say("measuring the idle power for {:.0f} s".format(IDLE_S))
    power.watts()
    found, until = [], time.monotonic() + IDLE_S
    while time.monotonic() < until:
        time.sleep(0.2)
        found.append(power.watts())
    known = [watts for watts in found if watts is not None]
    return sum(known) / len(known) if known else None


def energy(power, mean_w, idle_w, per_second):
    """Of one picture; None where nothing told the power during the runs."""
    if power is None or mean_w is None:
        return None
    above = None if idle_w is None else 1e3 * (mean_w - idle_w) / per_second
    return {
        "source": power.source,
        "mj_per_picture": 1e3 * mean_w / per_second,
        "idle_w": idle_w,
        "mean_w": mean_w,
        "above_idle_mj": above,
    }


def size_of(backend, manifest, folder, wanted):
    """(height, width) that is timed: the one that is served, else the one asked for, else that of a golden picture.

    The golden picture's is rounded down to what the network takes, by every runner.
    """
    if backend.size is not None:
        if wanted is not None and tuple(wanted) != tuple(backend.size):
            text = "this model serves {}x{} only; leave --size out"
            raise Problem(text.format(*backend.size))
        return tuple(backend.size)
    if wanted is not None:
        require_size(wanted)
        return tuple(wanted)
    if not manifest["golden"]:
        return DEFAULT_SIZE
    shape = read_pair(folder, manifest["golden"][0])[0].shape[1:]
    return tuple(max(MULTIPLE, side // MULTIPLE * MULTIPLE) for side in shape)


def require_size(wanted):
    """Problem where no network takes a size, or no memory would hold it."""
    if any(side % MULTIPLE for side in wanted):
        raise Problem("--size {}x{} is no multiple of {}; give one that is".format(*wanted, MULTIPLE))
    if wanted[0] * wanted[1] > MOST_PIXELS:
        text = "--size {}x{} is {} pixels, and the limit is {}; give a smaller one"
        raise Problem(text.format(*wanted, wanted[0] * wanted[1], MOST_PIXELS))


def picture(folder, manifest, size):
    """The first golden picture, mirrored as often as the size needs; a grey ramp where there is none."""
    if not manifest["golden"]:
        ramp = np.linspace(0, 1, size[0] * size[1], dtype=np.float32).reshape(size)
        return np.ascontiguousarray(np.stack([ramp] * 3))
    image = read_pair(folder, manifest["golden"][0])[0]
    for axis in (1, 2):
        image = np.concatenate([image, np.flip(image, axis)], axis)
    repeats = [-(-want // have) for want, have in zip(size, image.shape[1:])]
    return np.ascontiguousarray(np.tile(image, (1, *repeats))[:, : size[0], : size[1]])


def accuracy(backend, folder, manifest):
    """How near this device comes to the full model: in the process, and with the session, that was timed."""
    rows = golden_rows(folder, manifest, backend)
    return [{**row, "floor_db": golden.get("floor_db")} for golden, row in zip(manifest["golden"], rows)]


def operators(folder, manifest, threads, image):
    """Times by kind of operator, from a session of its own: profiling it slows it down."""
    with tempfile.TemporaryDirectory(prefix=".moceir-edge-") as traces:
        backend = open_backend(folder, manifest, threads=threads, traces=Path(traces))
        for _ in range(3):
            backend.run(image)
        return list(backend.operators())


def on_processor(backend):
    """Whether the processor computes, so that its yardstick says something of the runs."""
    return backend.runtime["provider"].startswith("CPU")


def savers():
    """Why the device was not at its full speed from the start."""
    found = machine.power_saver()
    return ["power saving: {}".format(found)] if found else []


def remarks(given):
    """What a reader has to know, and what does not make the times worthless."""
    return [text for text, true in ((PACED, given.paced), (BATTERY, machine.on_battery())) if true]


def summary(result):
    """Lines for people."""
    middle = result["latency"]["percentiles"]["p50"]
    yield "{} runs, median {:.2f} ms (95 %: {:.2f} to {:.2f})".format(
        len(result["latency"]["runs_ms"]), middle["value"], middle["low"], middle["high"]
    )
    for reason in result["invalid"]:
        yield "these times mean nothing: {}".format(reason)


def require_place(out):
    """Problem, before any work, where the result cannot be written."""
    place = out.absolute().parent
    if not place.is_dir() or not os.access(str(place), os.W_OK) or out.is_dir():
        raise Problem("{}: cannot be written; give --out a file in a folder that is there".format(out))


def write(result, out):
    """The whole file or none: it gets its name when it is complete."""
    handle, name = tempfile.mkstemp(dir=str(out.absolute().parent), prefix=".moceir-edge-", suffix=".json")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(result, stream, indent=1, allow_nan=False)
            stream.write("\n")
        temporary.chmod(0o644)
        temporary.replace(out)
    except OSError as error:
        raise refusal(out, error) from error
    finally:
        if temporary.exists():
            temporary.unlink()
