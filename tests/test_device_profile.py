"""Device profiles: the bundled ones are read, agree with what the targets know, and say where figures are from."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from moceir_edge.device_profile import (
    DeviceProfile,
    PowerWay,
    Reach,
    Runtime,
    profile_name,
    profiles_table,
    read_device_profile,
)
from moceir_edge.device_result import RunnerName
from moceir_edge.errors import InputError, RecipeError
from moceir_edge.recipe.contradictions import contradictions
from moceir_edge.resources import resource, resource_names
from moceir_edge.targets.qnn_library import NPUS
from moceir_edge.targets.tensorrt_releases import RELEASES, Release, has_fp8
from moceir_edge.terms import Precision, TargetName

NAMES = resource_names("devices")
JETSONS = tuple(name for name in NAMES if name.startswith("jetson"))
ASKED_FOR = {
    *("jetson_xavier_nx", "jetson_orin_nano", "jetson_orin_nx", "jetson_agx_orin", "jetson_thor", "raspberry_pi_5"),
    *(f"iphone_{generation}" for generation in range(13, 18)),
    *("pixel_8", "pixel_9", "snapdragon_8_gen_2", "snapdragon_8_gen_3", "snapdragon_8_elite", "x86_laptop", "browser"),
}

PLAIN = """\
title: A board
system: Linux
reach: ssh
runner: python
runtimes:
  - {target: onnx, library: onnxruntime, from_version: "1.16", precisions: [float32], source: export/desktop.yaml}
"""


def written(folder: Path, text: str) -> str:
    """A file of this text, by its path."""
    path = folder / "board.yaml"
    path.write_text(text)
    return str(path)


def refused(folder: Path, text: str) -> str:
    """What is said of a file of this text, on one line, with what to do."""
    with pytest.raises(RecipeError) as caught:
        read_device_profile(written(folder, text))
    assert "\n" not in str(caught.value)
    assert caught.value.remedy == "correct the file"
    return caught.value.what


def test_every_device_that_was_asked_for_has_a_profile() -> None:
    """By the names of the documentation."""
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_profile_is_whole(name: str) -> None:
    """It is reached and run in ways that go together, and comes back from JSON, as which a bundle holds it."""
    profile = read_device_profile(name)
    assert DeviceProfile.model_validate_json(profile.model_dump_json()) == profile
    assert [profile.runtime(one.target) for one in profile.runtimes] == list(profile.runtimes)
    runners = {Reach.ADB: RunnerName.ANDROID, Reach.XCODE: RunnerName.IOS, Reach.PAGE: RunnerName.BROWSER}
    assert profile.runner is runners.get(profile.reach, RunnerName.PYTHON)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_bundled_profile_is_quoted(name: str) -> None:
    """Above it, or above its group, stands a comment with the words that were read, or with the rule for its unit."""
    lines = (resource("devices") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    for index, line in enumerate(lines):
        if line.strip().startswith(("value:", "clocks_source:", "rails_source:")):
            before = lines[:index]
            start = max((i for i, text in enumerate(before) if not text), default=0)
            assert any('"' in text and text.lstrip().startswith("#") for text in lines[start:index]), (
                f"{name}:{index + 1}"
            )


@pytest.mark.parametrize("name", NAMES)
def test_files_of_this_project_that_are_named_as_sources_exist(name: str) -> None:
    """A runtime may refer to a module, a recipe or a script, which names its own sources."""
    for runtime in read_device_profile(name).runtimes:
        if not runtime.source.startswith("http"):
            kind, _, rest = runtime.source.partition("/")
            root = resource("devices") if kind == "devices" else resource("export")
            place = root.parent / runtime.source if kind == "moceir_edge" else root / rest
            assert place.is_file(), runtime.source


@pytest.mark.parametrize("name", NAMES)
def test_precisions_are_those_that_a_recipe_may_ask_for(name: str) -> None:
    """What a profile offers, no recipe for that target refuses for its precision."""
    for runtime in read_device_profile(name).runtimes:
        for precision in runtime.precisions:
            said = {"target": runtime.target, "precision": precision, "size": [192, 128], "opset": 20}
            assert ("precision",) not in [place for place, _ in contradictions(said)], (runtime.target, precision)


def served(profile: DeviceProfile) -> list[Release]:
    """The releases of JetPack for its GPU."""
    return [row for row in RELEASES if profile.compute_capability in row.compute_capabilities]


def numbers(version: str) -> tuple[int, ...]:
    """A version in order."""
    return tuple(map(int, version.split(".")))


def within(runtime: Runtime, version: str) -> bool:
    """Whether a version of its library is taken."""
    below = runtime.below_version
    return numbers(runtime.from_version or "0") <= numbers(version) and (
        below is None or numbers(version) < numbers(below)
    )


@pytest.mark.parametrize("name", JETSONS)
def test_jetsons_agree_with_the_releases_of_jetpack(name: str) -> None:
    """TensorRT's versions, Python and FP8 are those that targets/tensorrt_releases.py gives for this GPU."""
    profile = read_device_profile(name)
    runtime, releases = profile.runtime(TargetName.TENSORRT), served(profile)
    assert runtime is not None
    assert profile.compute_capability is not None
    assert releases
    first, last = (numbers(row.tensorrt) for row in (releases[0], releases[-1]))
    for row in RELEASES:
        assert within(runtime, row.tensorrt) or row not in releases
        assert not within(runtime, row.tensorrt) or first <= numbers(row.tensorrt) <= last
    assert profile.python == releases[0].python
    assert (Precision.FP8 in runtime.precisions) is has_fp8(profile.compute_capability)
    assert all(row.tensorrt in runtime.note for row in releases)


def test_npus_agree_with_those_that_contexts_are_compiled_for() -> None:
    """Name and generation of each chip of targets/qnn_library.py, in the profile of its name, and in no other."""
    runs = {name for name in NAMES if read_device_profile(name).runtime(TargetName.QNN) is not None}
    assert runs == set(NPUS)
    for name, npu in NPUS.items():
        profile = read_device_profile(name)
        assert profile.chip == npu.name
        assert profile.npu == f"Hexagon Tensor Processor v{npu.htp_arch}"


def test_the_browsers_runtime_is_the_pages() -> None:
    """Its version is that of the package that the page brings."""
    package = json.loads((resource("devices") / "browser" / "package.json").read_text(encoding="utf-8"))
    runtime = read_device_profile("browser").runtime(TargetName.BROWSER)
    assert runtime is not None
    assert package["dependencies"] == {runtime.library: runtime.from_version}


@pytest.mark.parametrize("name", NAMES)
def test_clocks_that_are_held_are_let_go(name: str) -> None:
    """The commands are words of a shell; what is remembered when holding is what letting go looks at."""
    profile = read_device_profile(name)
    assert bool(profile.hold_clocks) is bool(profile.free_clocks)
    for command in (*profile.hold_clocks, *profile.free_clocks):
        subprocess.run(["bash", "-n", "-c", command], check=True)
    kept = [
        set(re.findall(r"/tmp/[\w.-]+", " ".join(commands))) for commands in (profile.hold_clocks, profile.free_clocks)
    ]
    assert kept[0] == kept[1]


def test_a_governor_that_was_set_comes_back(tmp_path: Path) -> None:
    """The commands for a Raspberry Pi, run on files like those of the system."""
    policies = [tmp_path / f"policy{index}" / "scaling_governor" for index in (0, 4)]
    for path in policies:
        path.parent.mkdir()
        path.write_text("ondemand\n")
    profile = read_device_profile("raspberry_pi_5")
    seen = []
    for commands in (profile.hold_clocks, profile.free_clocks):
        for command in commands:
            here = command.replace("/sys/devices/system/cpu/cpufreq", str(tmp_path)).replace("sudo ", "")
            subprocess.run(["bash", "-c", here.replace("/tmp/moceir-edge", f"{tmp_path}/kept")], check=True)
        seen.append([path.read_text() for path in policies])
    assert seen == [["performance\n"] * 2, ["ondemand\n"] * 2]


def power_text() -> ModuleType:
    """The runner's module that reads what tools say about power."""
    path = resource("devices") / "runner" / "power_text.py"
    if not path.exists():
        pytest.skip("not here: devices/runner/power_text.py")
    spec = importlib.util.spec_from_file_location("power_text", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", JETSONS)
def test_the_runner_sees_the_rails_of_a_jetson(name: str) -> None:
    """A line of tegrastats with the rails of the profile gives them all."""
    profile = read_device_profile(name)
    assert {rail.way for rail in profile.rails} == {PowerWay.TEGRASTATS}
    line = "RAM 1/8MB " + " ".join(f"{rail.name} 1500mW/1500mW" for rail in profile.rails)
    assert power_text().tegrastats_rails(line) == {rail.name: 1.5 for rail in profile.rails}


@pytest.mark.parametrize("name", NAMES)
def test_peaks_do_not_fall_in_narrower_formats(name: str) -> None:
    """A unit is not slower in fewer bits, so a figure that was halved once too often would show."""
    known = {peak.precision: peak.gmacs_per_s.value for peak in read_device_profile(name).peaks}
    rates = [known[precision] for precision in Precision if precision in known]
    assert rates == sorted(rates)


def test_devices_are_listed_with_what_is_not_known() -> None:
    """devices/profiles/README.md is written from the profiles."""
    table = profiles_table(NAMES)
    assert table in (resource("devices") / "profiles" / "README.md").read_text(encoding="utf-8")
    assert "| `iphone_17` | iPhone 17 | xcode | - |" in table


def test_an_unknown_device_names_all_that_are_known() -> None:
    """So that nobody has to look for the list."""
    with pytest.raises(InputError) as caught:
        read_device_profile("jetson_orin")
    assert all(name in str(caught.value) for name in NAMES)


def test_a_profile_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    """The fewest keys; what is left out is null, never a guess."""
    path = written(tmp_path, PLAIN)
    profile = read_device_profile(path)
    assert profile_name(path) == "board"
    assert profile.memory_mib is None
    assert profile.peaks == ()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("memory: 8\n", ":7: memory: no such key"),
        ("title: Another\n", ":7: key 'title' is doubled (first in line 1)"),
        (
            "memory_mib: {value: -4096, source: https://example.org/a}\n",
            ":7: memory_mib.value: Input should be greater",
        ),
        ("memory_mib: {value: 0, source: https://example.org/a}\n", ":7: memory_mib.value: Input should be greater"),
        (
            'memory_mib: {value: "4096", source: https://example.org/a}\n',
            ":7: memory_mib.value: Input should be a valid",
        ),
        ("memory_mib: {value: true, source: https://example.org/a}\n", ":7: memory_mib.value: Input should be a valid"),
        ("memory_mib: {value: .nan, source: https://example.org/a}\n", ":7: memory_mib.value: Input should be"),
        ("memory_mib: {value: 4096}\n", ":7: memory_mib.source: is missing"),
        ("memory_mib: 4096\n", ":7: memory_mib: Input should be"),
        (
            "memory_mib: {value: 4096, source: the data sheet}\n",
            ":7: memory_mib.source: 'the data sheet' is no address",
        ),
        (
            "memory_mib: {value: 4096, source: owner/name@main:a.md}\n",
            ":7: memory_mib.source: 'owner/name@main:a.md' is no",
        ),
        (
            "memory_mib: {value: 4096, source: export/desktop.yaml}\n",
            ":7: memory_mib.source: 'export/desktop.yaml' is no",
        ),
        (
            "usable_share: {value: 1.5, source: https://example.org/a}\n",
            ":7: usable_share.value: 1.5 is more than the whole",
        ),
        ("python: 3.8\n", ":7: python: Input should be a valid string"),
        ('python: "3.x"\n', ":7: python: String should match"),
        ("hold_clocks: [fast]\nclocks_source: https://example.org/a\n", ": free_clocks: is missing"),
        ("free_clocks: [slow]\n", ":7: free_clocks: without hold_clocks"),
        ("hold_clocks: [fast]\nfree_clocks: [slow]\n", ": clocks_source: is missing"),
        ("rails:\n  - {way: tegrastats, name: VDD_IN, what: all}\n", ": rails_source: is missing"),
        (
            "rails:\n  - {way: a guess, name: VDD_IN, what: all}\nrails_source: https://example.org/a\n",
            ":8: rails.0.way: Input should be 'tegrastats', 'sysfs', 'batterystats', 'powermetrics' or 'rapl'",
        ),
        (
            (
                "peaks:\n"
                "  - {unit: GPU, precision: int8, gmacs_per_s: {value: 1, source: https://example.org/a}}\n"
                "  - {unit: GPU, precision: int8, gmacs_per_s: {value: 2, source: https://example.org/a}}\n"
            ),
            ":9: peaks.1: a second one of GPU, int8",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, more: str, message: str) -> None:
    """One fault in a file, one message, at its place."""
    said = refused(tmp_path, PLAIN + more)
    assert message in said
    assert said.count("board.yaml") == 1


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """An unknown key, a doubled one, a negative number, a missing source and clocks that nobody lets go."""
    text = (
        PLAIN
        + "colour: green\n"
        + "system: Another\n"
        + "memory_mib: {value: -1, source: https://example.org/a}\n"
        + "bandwidth_gb_per_s: {value: 17}\n"
        + "hold_clocks: [fast]\n"
    )
    said = refused(tmp_path, text)
    for message in (
        ":7: colour: no such key",
        ":8: key 'system' is doubled (first in line 2)",
        ":9: memory_mib.value: Input should be greater than 0",
        ":10: bandwidth_gb_per_s.source: is missing",
        "free_clocks: is missing",
        "clocks_source: is missing",
    ):
        assert message in said
    assert said.count("board.yaml") == 6


def test_a_target_is_described_once(tmp_path: Path) -> None:
    """Two runtimes for a target would leave open which of them is meant."""
    line = PLAIN.splitlines()[-1]
    assert ":7: runtimes.1: a second one of onnx" in refused(tmp_path, f"{PLAIN}{line}\n")


def test_a_profile_from_json_is_held_to_the_same(tmp_path: Path) -> None:
    """A bundle's manifest holds a profile, too."""
    said = {**json.loads(read_device_profile(written(tmp_path, PLAIN)).model_dump_json()), "hold_clocks": ["fast"]}
    with pytest.raises(ValueError, match="free_clocks: is missing"):
        DeviceProfile.model_validate(said)


@pytest.mark.parametrize("text", ["- a\n", "text\n"])
def test_what_is_no_profile_at_all_is_refused(tmp_path: Path, text: str) -> None:
    """A list or a word where keys are wanted."""
    assert "board.yaml: Input should be a valid dictionary" in refused(tmp_path, text)
