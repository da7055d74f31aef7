"""Files appear whole on every system, and paths are those that were meant."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossprint.files import alone, from_home, remove_leftovers, whole_file


def fsync_of_windows(descriptor: int) -> None:
    """FlushFileBuffers refuses a handle without write access; writing nothing tells."""
    os.write(descriptor, b"")


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "no suffix"])
def test_files_are_flushed_through_a_handle_that_may_write(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fsync_of_windows)
    with whole_file(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")

    def fail() -> None:
        with whole_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/data", "/home/me/data"),
        ("~", "/home/me"),
        (["~/a.pth", "b~/c"], ["/home/me/a.pth", "b~/c"]),
        ({"probe": {"folder": "~/p", "size": 3}}, {"probe": {"folder": "/home/me/p", "size": 3}}),
        ("~nobody-of-that-name/x", "~nobody-of-that-name/x"),
        (None, None),
    ],
)
def test_a_tilde_is_the_home_folder(
    given: object, meant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    assert from_home(given) == meant


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*a\.csv'"),
        whole_file(tmp_path / "a.csv"),
    ):
        raise OSError(28, "No space left on device")


def test_leftovers_of_the_dead_are_removed_and_of_the_living_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname().replace(".", "_")
    dead = tmp_path / f".a.{ended.pid}@{host}.png"
    alive = tmp_path / f".a.{os.getpid()}@{host}.png"
    elsewhere, old = tmp_path / ".a.1@other.png", tmp_path / ".b.1@other"
    others = [tmp_path / ".hidden", tmp_path / "a@b.png", tmp_path / ".me@home.png"]
    for path in (dead, alive, elsewhere, old, *others):
        path.touch()
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, elsewhere, *others])


HOLD = """
import sys, time
from pathlib import Path
from lossprint.files import alone
with alone(sys.argv[1], "training a"):
    Path(sys.argv[1], "begun").touch()
    time.sleep(float(sys.argv[2]))
    Path(sys.argv[1], "ended").touch()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_the_second_waits_for_the_first_and_not_for_a_dead_one(
    killed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path), "60" if killed else "1"]
    first = subprocess.Popen(words)
    while not (tmp_path / "begun").exists():
        assert first.poll() is None
        time.sleep(0.01)
    if killed:
        first.kill()
        first.wait()
    with alone(tmp_path, "training b"), alone(tmp_path, "training b again"):
        assert (tmp_path / "ended").exists() is not killed
        holder = (tmp_path / ".lock.holder").read_text()
        assert holder == f"process {os.getpid()} on {socket.gethostname()}"
    said = f"training b: waiting for process {first.pid} on {socket.gethostname()}"
    assert (said in caplog.text) is not killed
    assert not (tmp_path / ".lock.holder").exists()
    first.wait()
