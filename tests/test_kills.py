"""A few kills at random moments; `python -m benchmarks.kills` makes hundreds."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmarks.kills import Step, torment

ELSEWHERE = Path("/dev/shm")  # another file system, where there is one


def forget(folder: Path) -> None:
    """Begins anew in what is there already."""
    for _ in range(20):
        with (folder / "a").open("a") as file:
            file.write("x")
        time.sleep(0.02)


def refuse(folder: Path) -> None:
    (folder / "begun").mkdir()
    (folder / "a").touch()
    time.sleep(0.4)


def has_begun(folder: Path) -> bool:
    return any(folder.iterdir())


@pytest.mark.parametrize(("run", "found"), [(forget, "lost"), (refuse, "refused")])
def test_what_is_lost_and_what_refuses_is_counted(run, found, tmp_path):
    step = Step("planted", run, lambda folder: [*folder.glob("a")], 1, moment=has_begun)
    once_at_once = SimpleNamespace(randint=lambda *_: 1, uniform=lambda *_: 0.0)
    count = torment(step, tmp_path, 1, once_at_once)
    assert count == {"kills": 1, "led to the end": 1, found: 1}


@pytest.mark.slow
def test_what_is_killed_ends_as_if_it_had_not_been(tmp_path):
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "8", "--root", tmp_path / "a"]
    result = subprocess.run(
        [*command, "--steps", "rendering", "decoding"],
        cwd=Path(__file__).parents[1],
        env=os.environ
        | {"OMP_NUM_THREADS": "1"}
        | ({"TMPDIR": str(ELSEWHERE)} if ELSEWHERE.is_dir() else {}),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("| all"))
    kills, _, lost, refused = (int(cell) for cell in line.split("|")[2:-1])
    assert kills >= 8
    assert lost == refused == 0
