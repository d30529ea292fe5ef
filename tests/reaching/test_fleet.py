"""Several devices side by side."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from moceir_edge.artifacts import read_artifact
from moceir_edge.cli.entry import run
from moceir_edge.errors import DeviceError
from moceir_edge.reaching.fleet import FleetResult, visit_all
from moceir_edge.reaching.patience import Patience
from moceir_edge.reaching.place import Ssh
from moceir_edge.runner import torch_threads
from moceir_edge.terms import GateState
from tests.reaching.bundles import QUICK, small_bundle, tiny_artifact
from tests.reaching.computers import Computer, Network, free_port, wait_until

PROGRAM = """import sys
from pathlib import Path
from moceir_edge.reaching.fleet import visit_all
from moceir_edge.reaching.place import place_of
visit_all([place_of(word) for word in sys.argv[2:]], Path(sys.argv[1]), python=sys.executable,
          arguments=("--seconds", "60", "--any-device"))
"""


def assert_nothing_left(*computers: Computer) -> None:
    """No file, and within a beat no program."""
    assert {str(computer.place): computer.left() for computer in computers if computer.left()} == {}
    for computer in computers:
        wait_until(lambda computer=computer: not computer.running(), 120, f"the end of {computer.commands()}")


def test_failure_is_named_and_ends_no_other_visit(network: Network, bundle: Path, patience: Patience) -> None:
    """Two devices are there and one is not; what was written is read back."""
    one, other = network.computer("one"), network.computer("other")
    nobody = Ssh("127.0.0.1", port=free_port())
    said: list[str] = []
    places = (one.place, nobody, other.place)
    result = visit_all(places, bundle, arguments=QUICK, python=sys.executable, patience=patience, say=said.append)
    assert list(result.results) == [str(one.place), str(other.place)]
    assert "cannot be reached" in result.failures[str(nobody)].what
    assert result.exit_code == DeviceError.exit_code
    assert f"{nobody}: failed" in said
    assert FleetResult.model_validate_json(result.model_dump_json()) == result
    assert_nothing_left(one, other)


def test_device_that_is_given_twice_is_refused(bundle: Path) -> None:
    """It would find itself in use."""
    with pytest.raises(DeviceError, match="ssh://pi is given twice"):
        visit_all([Ssh("pi"), Ssh("pi")], bundle)


def test_interrupt_leaves_every_device_in_order(network: Network, bundle: Path) -> None:
    """Ctrl-C ends all visits, and cleans up everywhere before the program ends."""
    computers = [network.computer(f"pi{number}") for number in range(3)]
    words = [str(bundle), *(str(computer.place) for computer in computers)]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE, text=True) as visitor:
        for computer in computers:
            wait_until(lambda computer=computer: computer.left(), 400, "a visit")
        visitor.send_signal(signal.SIGINT)
        _, complaint = visitor.communicate(timeout=240)
    assert "KeyboardInterrupt" in complaint
    assert_nothing_left(*computers)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the bundled trained model."""
    with torch_threads(1):
        artifact = tiny_artifact(tmp_path_factory.mktemp("tiny"))
    return small_bundle(artifact, artifact.with_name("tiny.tar.gz"))


@pytest.mark.slow
@pytest.mark.parametrize("end", [Computer.cut_off, Computer.switch_off], ids=["cut off", "switched off"])
def test_ten_devices_of_which_one_dies_and_one_is_slow(
    end: Callable[[Computer], None], network: Network, tiny_bundle: Path, patience: Patience
) -> None:
    """Nine complete results, one failure by name, and nothing left behind on any.

    The one that dies loses its network, and tidies up by itself, or its power, and is tidied when it is on again.
    """
    computers = [network.computer(f"device{number}") for number in range(10)]
    dying, slow = computers[3], network.link(computers[7], "--rate", "300000")
    places = [slow if computer is computers[7] else computer.place for computer in computers]

    def kill() -> None:
        wait_until(lambda: any(" profile " in command for command in dying.commands()), 400, "its profile")
        end(dying)

    killing = threading.Thread(target=kill)
    killing.start()
    patient = patience.model_copy(update={"keep_s": 60, "beat_s": 2})
    result = visit_all(places, tiny_bundle, arguments=QUICK, python=sys.executable, patience=patient)
    killing.join()
    assert list(result.failures) == [str(dying.place)]
    assert "dropped out" in result.failures[str(dying.place)].what
    assert len(result.results) == 9
    assert all(one.latency.runs_ms and one.passed for one in result.results.values())
    assert_nothing_left(*(computer for computer in computers if computer is not dying))
    if end is Computer.switch_off:
        dying.switch_on()
        again = visit_all([dying.place], tiny_bundle, arguments=QUICK, python=sys.executable, patience=patient)
        assert again.failures == {}
    wait_until(lambda: not dying.left() and not dying.running(), 240, "the end of everything")


def test_command_tells_results_and_failures(
    network: Network, artifact: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`moceir-edge profile` with a device that is there and one that is not: both in one object, and exit code 2.

    What the device has proven is noted in the artifact.
    """
    computer, nobody = network.computer("pi"), Ssh("127.0.0.1", port=free_port())
    given = copytree(artifact, tmp_path / "given")
    words = ["profile", str(given), "--device", str(computer.place), "--device", str(nobody), "--seconds", "1"]
    code = run([*words, "--python", sys.executable, "--json", "-q"])
    told = json.loads(capfd.readouterr().out)
    assert code == DeviceError.exit_code
    assert list(told["results"]) == [str(computer.place)]
    assert list(told["failures"]) == [str(nobody)]
    proof = read_artifact(given).proofs.executed_on_device
    assert proof.state is GateState.PASSED
    assert "golden pictures" in proof.reason
    assert_nothing_left(computer)
