"""Visits over a real OpenSSH server: what comes back, what stays, and what happens when something breaks."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from moceir_edge.bundling.bundle import bundle as make_bundle
from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import ArtifactError, DeviceError
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Place
from moceir_edge.reaching.visit import visit
from moceir_edge.records import sha256_of_file
from tests.reaching.bundles import QUICK, small_bundle, write_keys
from tests.reaching.computers import FOLDER, Computer, Network, wait_until

Said = list[str]

LONG = ("--seconds", "60", "--any-device")
"""A profile that is still at work whatever this machine has to do besides."""

WORD = """import sys
from pathlib import Path
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import place_of
from moceir_edge.reaching.visit import visit
visit(place_of(sys.argv[1]), Path(sys.argv[2]), arguments={arguments!r}, python=sys.executable,
      patience=Patience.model_validate_json(sys.argv[3]))
"""


def visited(
    place: Place, bundle: Path, patience: Patience, *, said: Callable[[str], None] = lambda _: None, quick: bool = True
) -> ProfileResult:
    """A visit with this Python on the device."""
    arguments = QUICK if quick else LONG
    return visit(place, bundle, arguments=arguments, python=sys.executable, patience=patience, say=said)


def profiling(computer: Computer) -> bool:
    """Whether the runner's profile runs there."""
    return any(" profile " in command for command in computer.commands())


def when_profiling(computer: Computer, *acts: Callable[[], None]) -> threading.Thread:
    """Do something in the middle of the first profile."""

    def wait() -> None:
        wait_until(lambda: profiling(computer), 400, "the profile")
        for act in acts:
            act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def assert_nothing_left(computer: Computer) -> None:
    """No file, and within a beat no program."""
    assert computer.left() == []
    wait_until(lambda: not computer.running(), 120, f"the end of {computer.commands()}")


def test_result_comes_back_and_nothing_stays(
    network: Network, bundle: Path, patience: Patience, tmp_path: Path
) -> None:
    """A whole visit with everything that is real but the distance.

    Its owner is greeted at every login, and begins where modules lie that Python would take for its own.
    """
    computer, said, own = network.computer("pi"), Said(), tmp_path / "own"
    own.mkdir()
    for name in ("hashlib", "os", "platform", "json"):
        (own / f"{name}.py").write_text(f"open({str(own / 'ran')!r}, 'w')\n")
    (computer.home / ".bashrc").write_text(f"echo free 0; echo Welcome; cd {own}\n")
    result = visited(computer.place, bundle, patience, said=said.append)
    assert result.latency.runs_ms
    assert all(row.passed for row in result.accuracy)
    assert any("profiling" in line and str(computer.place) in line for line in said)
    assert not (own / "ran").exists()
    assert_nothing_left(computer)


def test_signature_is_required_on_the_device_too(
    network: Network, artifact: Path, patience: Patience, tmp_path: Path
) -> None:
    """The public key goes there with the bundle; an unsigned one does not even leave."""
    private, public = tmp_path / "key.pem", tmp_path / "public key.pem"
    write_keys(private, public)
    computer, said = network.computer("pi"), Said()
    signed = tmp_path / "signed.tar.gz"
    make_bundle(artifact, "x86_laptop", signed, sign=private)
    visit(
        computer.place,
        signed,
        arguments=QUICK,
        python=sys.executable,
        public_key=public,
        patience=patience,
        say=said.append,
    )
    assert any("uploading public.pem" in line for line in said)
    assert_nothing_left(computer)
    unsigned = small_bundle(artifact, tmp_path / "unsigned.tar.gz")
    with pytest.raises(ArtifactError, match="is not signed"):
        visit(computer.place, unsigned, python=sys.executable, public_key=public, patience=patience)


def test_broken_upload_goes_on_where_it_stopped(network: Network, bundle: Path, patience: Patience) -> None:
    """The connection ends once in the middle of the upload; what is there is not sent again."""
    computer, said = network.computer("pi"), Said()
    broken = network.folder / "broken"
    part = computer.home / FOLDER / "runner.pyz.part"
    place = network.link(computer, "--cut", "60000", "--part", str(part), "--once", str(broken))
    visited(place, bundle, patience, said=said.append)
    assert broken.exists()
    assert any("dropped out" in line for line in said)
    assert any("of which" in line for line in said)
    assert_nothing_left(computer)


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False], ids=["of this bundle", "of another bundle"])
def test_changed_part_of_an_upload_is_not_built_upon(
    same: bool, network: Network, bundle: Path, patience: Patience
) -> None:
    """What a visit left that is dead is compared by its hash, if it is of the same bundle, and else removed."""
    computer, said = network.computer("pi"), Said()
    folder = computer.home / FOLDER
    folder.mkdir()
    (folder / "owner").write_text("0123456789abcdef\n")
    (folder / "bundle").write_text(f"{sha256_of_file(bundle) if same else 'another'}\n")
    (folder / "runner.pyz.part").write_bytes(b"PK of something else")
    visited(computer.place, bundle, patience, said=said.append)
    assert not any("of which" in line for line in said)
    assert_nothing_left(computer)


@pytest.mark.slow
def test_device_that_drops_out_and_comes_back_is_visited_to_the_end(
    network: Network, bundle: Path, patience: Patience
) -> None:
    """Its network fails in the middle of the profile: it is told, and tried again without a new upload."""
    computer, said = network.computer("pi"), Said()
    acting = when_profiling(computer, computer.cut_off, computer.switch_on)
    patient = patience.model_copy(update={"attempts": 6, "backoff_s": 0.5})
    result = visited(computer.place, bundle, patient, said=said.append)
    acting.join()
    assert result.latency.runs_ms
    assert any("dropped out" in line and "attempt 1 of 6" in line for line in said)
    assert sum("uploading bundle" in line for line in said) == 1
    assert_nothing_left(computer)


@pytest.mark.slow
def test_device_that_never_comes_back_cleans_up_by_itself(network: Network, bundle: Path, patience: Patience) -> None:
    """Nobody can reach it any more: its runner is stopped at once, and everything goes a little later."""
    computer, said = network.computer("pi"), Said()
    acting = when_profiling(computer, computer.cut_off)
    short = patience.model_copy(update={"keep_s": 15, "attempts": 2})
    with pytest.raises(DeviceError, match="dropped out"):
        visited(computer.place, bundle, short, said=said.append, quick=False)
    acting.join()
    assert any("by itself" in line for line in said)
    wait_until(lambda: not computer.left() and not computer.running(), 240, "the end of everything")


@pytest.mark.slow
def test_device_that_hangs_is_given_up(network: Network, bundle: Path, patience: Patience) -> None:
    """Its connection stays open and says nothing: signs of life and limits end it, not the user."""
    computer = network.computer("pi")
    acting = when_profiling(computer, computer.freeze)
    short = patience.model_copy(update={"connect_s": 10, "attempts": 2})
    with pytest.raises(DeviceError, match="dropped out"):
        visited(computer.place, bundle, short, quick=False)
    acting.join()


@pytest.mark.slow
def test_device_whose_power_failed_is_tidied_by_the_next_visit(
    network: Network, bundle: Path, patience: Patience
) -> None:
    """What is on its disk after that is recognized as of no living visit, and used."""
    computer, said = network.computer("pi"), Said()
    acting = when_profiling(computer, computer.switch_off)
    with pytest.raises(DeviceError, match="dropped out"):
        visited(computer.place, bundle, patience.model_copy(update={"attempts": 1}), quick=False)
    acting.join()
    assert computer.left() == [FOLDER]
    computer.switch_on()
    visited(computer.place, bundle, patience, said=said.append)
    assert not any("uploading" in line for line in said)
    assert_nothing_left(computer)


@pytest.mark.slow
def test_second_visitor_is_turned_away(network: Network, bundle: Path, patience: Patience) -> None:
    """Two at once would measure each other; the first one's result is not touched."""
    computer = network.computer("pi")
    refusals: list[DeviceError] = []

    def come_too() -> None:
        looks_longer = patience.model_copy(update={"beat_s": 5})
        with pytest.raises(DeviceError, match="in use") as raised:
            visited(computer.place, bundle, looks_longer)
        refusals.append(raised.value)

    acting = when_profiling(computer, come_too)
    arguments = ("--seconds", "30", "--any-device")
    result = visit(computer.place, bundle, arguments=arguments, python=sys.executable, patience=patience)
    acting.join()
    assert result.latency.runs_ms
    assert len(refusals) == 1
    assert_nothing_left(computer)


@pytest.mark.slow
def test_visit_between_two_attempts_is_not_taken_for_dead(network: Network, bundle: Path, patience: Patience) -> None:
    """Its visitor waits, longer than others watch a folder, and is silent; it has its result in the end."""
    computer, waiting = network.computer("pi"), threading.Event()
    acting = when_profiling(computer, computer.cut_off, computer.switch_on)
    results: list[ProfileResult] = []

    def heard(text: str) -> None:
        if "dropped out" in text:
            waiting.set()

    def come_first() -> None:
        slow, arguments = patience.model_copy(update={"backoff_s": 12}), ("--seconds", "4", "--any-device")
        place, python = computer.place, sys.executable
        results.append(visit(place, bundle, arguments=arguments, python=python, patience=slow, say=heard))

    first = threading.Thread(target=come_first)
    first.start()
    assert waiting.wait(400)
    acting.join()
    with pytest.raises(DeviceError, match="in use"):
        visited(computer.place, bundle, patience)
    first.join()
    assert results[0].latency.runs_ms
    assert_nothing_left(computer)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_visitor_that_is_ended_leaves_nothing(
    number: signal.Signals, network: Network, bundle: Path, patience: Patience
) -> None:
    """Ctrl-C cleans up before it ends; after a kill the device does."""
    computer = network.computer("pi")
    short = patience.model_copy(update={"keep_s": 15})
    words = [str(computer.place), str(bundle), short.model_dump_json()]
    program = WORD.format(arguments=LONG)
    with subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE, text=True) as visitor:
        wait_until(lambda: profiling(computer), 400, "the profile")
        visitor.send_signal(number)
        _, complaint = visitor.communicate(timeout=240)
    if number is signal.SIGINT:
        assert "KeyboardInterrupt" in complaint
        assert computer.left() == []
    wait_until(lambda: not computer.left() and not computer.running(), 240, "the end of everything")
