from pathlib import Path

import pytest

from lossprint.runs.record import RunRecord, run_folder
from lossprint.runs.registry import find_runs, newest_sweep

FAMILIES = {"triplet": "ranking", "arcface": "classification", "untrained": "control"}


def add(
    root: Path, sweep: str, loss: str, fold: int, seed: int, end: str = "finished"
) -> RunRecord:
    run = RunRecord(
        folder=run_folder(root, sweep, loss, fold, seed),
        loss=loss,
        family=FAMILIES[loss],
        distance="lp",
        fold=fold,
        seed=seed,
        data_fingerprint="abc",
    ).begin({})
    if end == "finished":
        return run.finish({}, {})
    return run.fail(ValueError("x")) if end == "failed" else run


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    root = tmp_path / "outputs"
    for loss in ("triplet", "arcface"):
        for fold in (0, 1):
            for seed in (0, 1):
                add(root, "first", loss, fold, seed)
    add(root, "first", "untrained", 0, 0, end="failed")
    add(root, "second", "triplet", 0, 0)
    add(root, "second", "arcface", 0, 0, end="running")
    return root


def names(runs: list[RunRecord]) -> list[str]:
    return [f"{run.sweep}/{run.name}" for run in runs]


def test_filters(outputs: Path) -> None:
    assert len(find_runs(outputs)) == 9
    assert len(find_runs(outputs, status=None)) == 11
    assert names(find_runs(outputs, "first", loss="triplet", fold=0)) == [
        "first/triplet-fold0-seed0",
        "first/triplet-fold0-seed1",
    ]
    assert names(find_runs(outputs, "first", family="classification", seed=[0])) == [
        "first/arcface-fold0-seed0",
        "first/arcface-fold1-seed0",
    ]
    assert names(find_runs(outputs, "first", loss=["tri*"], fold=1, seed=1)) == [
        "first/triplet-fold1-seed1"
    ]
    assert names(find_runs(outputs, status="failed")) == ["first/untrained-fold0-seed0"]
    assert find_runs(outputs, loss="circle") == []


def test_patterns(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ["first/triplet-fold0-seed0"]
    assert names(find_runs(outputs, "first/triplet/fold0-seed0")) == one
    assert names(find_runs(outputs, str(outputs / "first/triplet/fold0-seed0"))) == one
    assert names(find_runs(outputs, str(outputs / "first/*/fold0-seed0"), loss="triplet")) == one
    assert len(find_runs(outputs, "*/triplet")) == 5
    assert len(find_runs(outputs, "**")) == 9  # each once
    assert len(find_runs(outputs, ".")) == 9
    monkeypatch.chdir(outputs.parent)
    assert names(find_runs("outputs", "outputs/first/triplet/fold0-seed0")) == one
    with pytest.raises(FileNotFoundError, match="no runs at 'third', neither below"):
        find_runs(outputs, "third")


def test_newest_sweep_is_where_a_run_finished_last(outputs: Path) -> None:
    assert newest_sweep(outputs) == outputs.resolve() / "second"
    add(outputs, "third", "triplet", 0, 0, end="running")
    assert newest_sweep(outputs).name == "second"
    add(outputs, "first", "triplet", 2, 0)
    assert newest_sweep(outputs).name == "first"


def test_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no finished run below .*outputs$"):
        newest_sweep(tmp_path / "outputs")
    add(tmp_path / "outputs", "first", "triplet", 0, 0, end="running")
    with pytest.raises(FileNotFoundError, match=r"unfinished: triplet-fold0-seed0"):
        newest_sweep(tmp_path / "outputs")


def test_a_damaged_record_is_named_and_left_out(tmp_path: Path, caplog) -> None:
    add(tmp_path, "first", "triplet", 0, 0)
    add(tmp_path, "first", "triplet", 1, 0)
    (tmp_path / "first" / "triplet" / "fold1-seed0" / "run.json").write_text('{"loss"')
    assert names(find_runs(tmp_path, "first")) == ["first/triplet-fold0-seed0"]
    assert "fold1-seed0/run.json is not a run's record" in caplog.text
    assert newest_sweep(tmp_path).name == "first"


@pytest.mark.parametrize("name", ["a[1]", 'a"b', "a[/b]", "a*", "ü ñ"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    add(tmp_path / name, "first", "triplet", 0, 0)
    add(tmp_path / name, "second", "triplet", 0, 0)
    assert len(find_runs(tmp_path / name, "first")) == 1
    assert len(find_runs(tmp_path, name)) == 2
    assert len(find_runs(tmp_path, str((tmp_path / name / "first").resolve()))) == 1


def test_what_a_killed_download_left_is_no_run(tmp_path: Path) -> None:
    add(tmp_path, "first", "triplet", 0, 0)
    add(tmp_path, ".fetch-abc", "triplet", 1, 0)
    assert names(find_runs(tmp_path, ".")) == ["first/triplet-fold0-seed0"]
