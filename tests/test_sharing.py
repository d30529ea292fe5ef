"""A loop over several processes: order, shares, and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moceir_edge.errors import InputError
from moceir_edge.sharing import over_processes

SCRIPT = """
import sys
from pathlib import Path
from moceir_edge.errors import InputError
from moceir_edge.processes import place
from moceir_edge.sharing import over_processes

def of(item):
    if item == "bad":
        raise InputError(f"{item} for {place()[0]}", "give another")
    return item * 2, place()[0]

try:
    told = str(over_processes(of, sys.argv[1:], "doubling"))
except InputError as error:
    told = error.what
(Path(__file__).parent / f"{place()[0]}.told").write_text(told)
"""


def by_two(tmp_path: Path, *items: str) -> set[str]:
    """What both processes tell, as a set."""
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(tmp_path / "script.py")]
    done = subprocess.run([sys.executable, *launch, *items], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "destroy_process_group" not in done.stderr
    return {(tmp_path / f"{number}.told").read_text() for number in range(2)}


def test_alone_it_is_a_loop() -> None:
    """In order; an error is itself."""
    assert over_processes(str.upper, ["a", "b", "c"], "raising") == ["A", "B", "C"]

    def refuse(item: str) -> str:
        raise InputError(item, "give another")

    with pytest.raises(InputError, match="a"):
        over_processes(refuse, ["a"], "raising")


def test_processes_take_turns_and_all_get_everything(tmp_path: Path) -> None:
    """An odd number, so that shares differ."""
    assert by_two(tmp_path, "a", "b", "c") == {"[('aa', 0), ('bb', 1), ('cc', 0)]"}


def test_one_item_is_enough(tmp_path: Path) -> None:
    """The other process has none."""
    assert by_two(tmp_path, "a") == {"[('aa', 0)]"}


def test_an_error_of_one_is_raised_in_all(tmp_path: Path) -> None:
    """The second process meets it, both tell of it, none waits."""
    assert by_two(tmp_path, "a", "bad", "c") == {"bad for 1"}


def test_processes_that_srun_started_meet(tmp_path: Path) -> None:
    """By the first node of the step; a batch script, which is alone in its allocation, waits for nobody."""
    (tmp_path / "script.py").write_text(SCRIPT)
    step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NTASKS": "2"}
    command = [sys.executable, str(tmp_path / "script.py"), "a", "b", "c"]
    started = [
        subprocess.Popen(command, env={**os.environ, **job, **step, "SLURM_PROCID": str(number)}) for number in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    assert {(tmp_path / f"{number}.told").read_text() for number in range(2)} == {"[('aa', 0), ('bb', 1), ('cc', 0)]"}
    alone = subprocess.run(command, env={**os.environ, **job, "SLURM_PROCID": "0"}, check=False, timeout=300)
    assert alone.returncode == 0
    assert (tmp_path / "0.told").read_text() == "[('aa', 0), ('bb', 0), ('cc', 0)]"


def test_processes_that_do_not_meet_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are promised, and nobody says where."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match="2 processes did not meet"):
        over_processes(str.upper, ["a"], "raising")
