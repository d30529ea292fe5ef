"""Readings of the device while it works, by a thread of its own, and what they say about throttling."""

import threading
import time

import machine

INTERVAL_S = 0.5
MOST_READINGS = 600
"""A result stays small: of a long run, every second, third ... reading is kept."""

FALLING = 0.10
"""Share by which the clock has to fall, from the first to the last quarter of the readings, to be called throttling."""

HOT_C = 75.0
"""From where on a falling clock is put down to heat, if the system names no passive trip point: a Raspberry Pi 5 slows
down at 80 degrees, phones and Jetsons between 80 and 99."""

NEAR_C = 5.0
"""So close to its trip point a device slows down already."""

PI_BITS = {0: "under-voltage", 1: "the clock is capped", 2: "throttled", 3: "the soft temperature limit is active"}
"""Of `vcgencmd get_throttled`; 16 bits higher: it has happened since the start.
https://www.raspberrypi.com/documentation/computers/os.html#get_throttled"""


class Sampler(threading.Thread):
    """Reads the device every half second until `finish`."""

    def __init__(self, power, root=machine.ROOT):
        super().__init__(daemon=True)
        self._power, self._root = power, root
        self._done, self._load = threading.Event(), machine.Load(root)
        self._bits, self._counted = [machine.raspberry_pi_bits()], machine.throttle_count(root)
        self._whole = machine.Load(root)
        self._began = time.monotonic()
        self.readings = []

    def run(self):
        """Until told to stop; what a device does not tell is None."""
        while not self._done.wait(INTERVAL_S):
            self._read()

    def _read(self):
        self.readings.append(
            {
                "at_s": time.monotonic() - self._began,
                "clock_mhz": machine.clock_mhz(self._root),
                "gpu_clock_mhz": machine.gpu_clock_mhz(self._root),
                "temperature_c": machine.temperature_c(self._root),
                "power_w": self._power.watts() if self._power else None,
                "others_share": self._load.others_share(),
            }
        )

    def finish(self, *, alone=True):
        """Stop, and return why the times mean nothing, as far as the device tells.

        alone: whether anybody else at work is one too many; a runner that takes turns with another is not alone.
        """
        self._done.set()
        self.join()
        self._read()
        self._bits.append(machine.raspberry_pi_bits())
        reasons = pi_reasons(*self._bits) + clock_reasons(self.readings, machine.hot_c(self._root))
        counted = machine.throttle_count(self._root)
        if counted is not None and self._counted is not None and counted > self._counted:
            reasons.append("throttled: the kernel counted {} events".format(counted - self._counted))
        share = self._whole.others_share()
        if alone and share is not None and share > machine.BUSY_SHARE:
            reasons.append("others at work: they used {:.0%} of all cores".format(share))
        return reasons

    def kept(self):
        """Readings for the result."""
        step = -(-len(self.readings) // MOST_READINGS) or 1
        return self.readings[::step]

    def mean_w(self):
        """Of the readings that tell a power; None without any."""
        found = [reading["power_w"] for reading in self.readings if reading["power_w"] is not None]
        return sum(found) / len(found) if found else None


def pi_reasons(before, after):
    """From the bits before and after the run: what is so now, and what happened in between."""
    if before is None or after is None:
        return []
    happened = ((after >> 16) & ~(before >> 16)) | after
    return ["throttled: {}".format(text) for bit, text in PI_BITS.items() if happened >> bit & 1]


def clock_reasons(readings, hot):
    """Whether a clock fell while it was hot. hot: the lowest passive trip point, None where the system names none."""
    quarter = len(readings) // 4
    if quarter == 0:
        return []
    limit = HOT_C if hot is None else hot - NEAR_C
    temperatures = [reading["temperature_c"] for reading in readings[-quarter:]]
    if None in temperatures or max(temperatures) < limit:
        return []
    reasons = []
    for name, words in (("clock_mhz", "the clock"), ("gpu_clock_mhz", "the GPU's clock")):
        first, last = ([reading[name] for reading in part] for part in (readings[:quarter], readings[-quarter:]))
        if None not in first + last and _mean(last) < (1 - FALLING) * _mean(first):
            text = "throttled: {} fell from {:.0f} to {:.0f} MHz at {:.0f} degrees"
            reasons.append(text.format(words, _mean(first), _mean(last), max(temperatures)))
    return reasons


def _mean(values):
    return sum(values) / len(values)
