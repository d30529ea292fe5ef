"""What tools and files of a system print about power, as numbers: nothing here reads a device.

Each format is known from published samples of it, which the tests hold with their sources.
"""

import re

TEGRASTATS_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/(\d+)(?:mW)?(?:/\d+mW)?(?=\s|$)")
"""`VDD_IN 4824mW/4824mW`: now and on average, with the unit since JetPack 5, and with a peak behind since R39."""

NO_RAILS = ("RAM", "SWAP", "IRAM", "NC")

WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
"""Rails that everything on the module hangs on."""


def tegrastats_rails(line):
    """Watts by rail, now, of a line of tegrastats; empty where the board or the user sees none."""
    found = TEGRASTATS_RAIL.findall(re.sub(r"\([^)]*\)", "", line))
    return {name: int(now) / 1e3 for name, now, _ in found if name not in NO_RAILS}


def whole_w(rails):
    """Watts, and the rail or the rails that they are of; None without rails.

    An AGX board has no rail for everything: VDD_GPU_SOC, VDD_CPU_CV and VIN_SYS_5V0 stand side by side, so they are
    added up. Elsewhere the input rail is the board; where there is none, all rails are added up.
    """
    if not rails:
        return None
    for name in WHOLE_BOARD:
        if name in rails:
            return rails[name], name
    return sum(rails.values()), " + ".join(sorted(rails))


def joules_between(before_uj, after_uj, range_uj):
    """Of a RAPL counter that starts again at 0 after `range_uj` microjoules."""
    gone = after_uj - before_uj
    return (gone if gone >= 0 else gone + range_uj) / 1e6


POWERMETRICS_SAMPLE = re.compile(r"^\*\*\* Sampled system activity .*\(([\d.]+)ms elapsed\)", re.MULTILINE)
POWERMETRICS_WATTS = (
    (re.compile(r"^Combined Power \(CPU \+ GPU \+ ANE\): (\d+) mW", re.MULTILINE), 1e-3),
    (re.compile(r"^Intel energy model derived package power \(CPUs\+GT\+SA\): ([\d.]+)W", re.MULTILINE), 1.0),
)


def powermetrics_watts(text):
    """[(seconds, watts)] of the samples that macOS's `powermetrics` printed as text: of the chip, not of the board."""
    found = []
    marks = list(POWERMETRICS_SAMPLE.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None]):
        part = text[mark.end() : following.start() if following else len(text)]
        for pattern, unit in POWERMETRICS_WATTS:
            watts = pattern.search(part)
            if watts:
                found.append((float(mark.group(1)) / 1e3, float(watts.group(1)) * unit))
                break
    return found
