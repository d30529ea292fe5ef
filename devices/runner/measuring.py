"""Runs of one picture: the first, those until the device is steady, and those that count."""

import json
import time

import numpy as np
import steady
from saying import complain

SECONDS = 10.0
"""Of timed runs, if nobody says otherwise."""

LEAST_RUNS = 20
"""Timed runs that are made however long each takes: fewer say nothing about percentiles."""

SAY_EVERY_S = 5.0
QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

YARDSTICK = np.linspace(0.0, 1.0, 2**16, dtype=np.float32)
YARDSTICK_ROUNDS = 12
"""About half a millisecond of plain arithmetic by one thread in 256 KiB: long enough to time, short beside a run."""


class Measured:
    """Times in milliseconds and their beginnings in seconds, as `latency` of a result tells them."""

    def __init__(self, first_ms, warm_up_ms, is_steady):
        self.first_ms, self.warm_up_ms, self.steady = first_ms, warm_up_ms, is_steady
        self.runs_ms, self.began_s, self.cpu_ms, self.yardstick_ms = [], [], [], []


def timed_ms(call):
    """Milliseconds that a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def yardstick_ms():
    """Processor time of a fixed piece of arithmetic, done by this thread and by no library that the model uses."""
    started, values = time.thread_time(), YARDSTICK
    for _ in range(YARDSTICK_ROUNDS):
        values = np.sqrt(values * YARDSTICK + YARDSTICK)
    return (time.thread_time() - started) * 1e3


def warm_up(call):
    """The first run, and runs until the device is steady or will never be."""
    first, runs = timed_ms(call), []
    started = time.perf_counter()
    say("first run {:.1f} ms; warming up".format(first))
    while not steady.is_steady(runs):
        if len(runs) >= steady.LEAST and (len(runs) >= steady.MOST or time.perf_counter() - started > steady.MOST_S):
            return Measured(first, runs, False)
        runs.append(timed_ms(call))
    return Measured(first, runs, True)


def measure(call, measured, turns, on_processor):
    """Make the runs that count, one for each of the turns, with the processor's side of them where it computes."""
    began = None
    for turn in turns:
        used, started = time.process_time(), time.perf_counter()
        began = started if began is None else began
        call()
        taken = (time.perf_counter() - started) * 1e3
        used = (time.process_time() - used) * 1e3
        measured.began_s.append(started - began)
        measured.runs_ms.append(taken)
        turn(taken)
        if on_processor:
            measured.cpu_ms.append(used)
            measured.yardstick_ms.append(yardstick_ms())


def own_turns(runs, seconds):
    """One run after the other: so many, or for so long (but at least 20), with a line now and then on stderr."""
    seconds = SECONDS if seconds is None else seconds
    started = said = time.perf_counter()
    number = 0
    while number < runs if runs else number < LEAST_RUNS or time.perf_counter() - started < seconds:
        yield float  # nobody waits for the answer
        number += 1
        if time.perf_counter() - said > SAY_EVERY_S:
            said = time.perf_counter()
            say("{} runs{}".format(number, " of {}".format(runs) if runs else ""))


def paced_turns(asked, answers):
    """A run for each line that is read, answered by its milliseconds, until there are no more lines.

    Whoever asks can so let two runners take turns, and compare run with run.
    """

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    answer("ready")
    for line in asked:
        if line.strip() != "run":
            break
        yield answer


def latency(measured, size, load_ms, build_ms):
    """What `latency` of a result says, and notes on it."""
    found = {name: steady.interval(measured.runs_ms, share) for name, share in QUANTILES.items()}
    short = [name for name, (_, enough) in found.items() if not enough]
    notes = []
    if short:
        text = "{}: too few runs ({}) for a whole 95 % interval: it ends at the fastest or slowest run"
        notes.append(text.format(", ".join(short), len(measured.runs_ms)))
    return {
        "size": list(size),
        "build_ms": build_ms,
        "load_ms": load_ms,
        "first_ms": measured.first_ms,
        "warm_up_ms": measured.warm_up_ms,
        "steady": measured.steady,
        "criterion": steady.CRITERION,
        "runs_ms": measured.runs_ms,
        "began_s": measured.began_s,
        "cpu_ms": measured.cpu_ms,
        "yardstick_ms": measured.yardstick_ms,
        "percentiles": {name: values for name, (values, _) in found.items()},
        "per_second": 1e3 * len(measured.runs_ms) / sum(measured.runs_ms),
    }, notes


def reasons(measured):
    """Why these times mean nothing, as far as they tell themselves."""
    found = [] if measured.steady else ["never steady in {} runs of warm-up".format(len(measured.warm_up_ms))]
    slower = steady.slower_later(measured.runs_ms)
    if slower is not None:
        found.append(
            "the later half of the runs is {:.0%} slower than the earlier: throttled, or others at work".format(slower)
        )
    return found


def say(text):
    """A line for people; stdout is for whoever asked."""
    complain("profile: {}".format(text))
