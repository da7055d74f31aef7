"""Files appear whole on every system, and paths are those that were meant."""

import os
from pathlib import Path

import pytest

from lossprint.files import from_home, whole_file


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
