import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from lossprint.runs.provenance import differences, git_commit, package_versions


def test_versions_are_those_installed() -> None:
    versions = package_versions()
    assert versions["torch"] == metadata.version("torch")
    assert "python" in versions
    assert "no-such-package" not in package_versions(["no-such-package"])


def test_commit_of_a_tracked_file(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *identity, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    tracked, untracked = tmp_path / "tracked.py", tmp_path / "untracked.py"
    tracked.write_text("")
    untracked.write_text("")
    assert git_commit(tracked) is None
    git("init", "-q")
    git("add", "tracked.py")
    git("commit", "-q", "-m", "first")
    assert git_commit(tracked) == git("rev-parse", "HEAD")
    assert git_commit(untracked) is None
    tracked.write_text("changed")
    assert git_commit(tracked) == git("rev-parse", "HEAD") + "-dirty"


def test_no_commit_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_differences_name_each_setting() -> None:
    old = {"seed": 0, "loss": {"margin": 0.2, "miner": None}, "force": False, "gone": 1}
    new = {"seed": 0, "loss": {"margin": 0.1, "miner": {"x": 1}}, "force": True, "new": [1]}
    assert differences(old, new) == [
        "gone: 1 → (not set)",
        "loss.margin: 0.2 → 0.1",
        "loss.miner.x: (not set) → 1",
        "new: (not set) → [1]",
    ]
    assert differences(old, old) == []
    assert differences({"a": (1, 2)}, {"a": [1.0, 2.0]}) == []
    assert differences({"a": None}, {}) == []
    assert differences({}, {"a": {}, "b": {"c": [], "d": None}}) == []
    assert differences({"a": None}, {"a": 0}) == ["a: (not set) → 0"]


def test_immaterial_settings_do_not_count() -> None:
    old = {"logger": {"mode": "online"}, "data": {"workers": 0, "name": "x"}, "output_root": "a"}
    new = {"logger": None, "data": {"workers": 4, "name": "x"}, "output_root": "b"}
    assert differences(old, new) == []
    classes = [{"loss": {"criterion": {"part": {"num_classes": n}}}} for n in (9, None)]
    assert differences(*classes) == []
    assert differences(old, new, ignore=()) == [
        "data.workers: 0 → 4",
        "logger.mode: online → (not set)",
        "output_root: a → b",
    ]
