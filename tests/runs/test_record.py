import json
import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lossprint.runs.record import RunRecord, check_writable, load_record, run_folder

CONFIG = {"seed": 0, "loss": {"name": "triplet", "criterion": {"margin": 1.0e-06}}, "name": "ä"}


def record(folder: Path, **changes: object) -> RunRecord:
    values: dict = {
        "loss": "triplet",
        "family": "ranking",
        "distance": "lp",
        "fold": 0,
        "seed": 0,
        "data_fingerprint": "abc",
        "versions": {"torch": "2"},
    }
    return RunRecord(folder=folder, **{**values, **changes})


def test_folder_is_named_by_what_the_run_is() -> None:
    folder = run_folder("outputs", "first", "triplet", 0, 3)
    assert folder == Path("outputs/first/triplet/fold0-seed3")
    assert record(folder, seed=3).name == "triplet-fold0-seed3"
    assert record(folder).sweep == "first"


def test_a_run_that_the_user_stopped_says_so_and_keeps_what_it_knows(tmp_path: Path) -> None:
    begun = record(tmp_path).begin(CONFIG).with_wandb("lossprint/abc")
    begun.interrupt()
    again = load_record(tmp_path)
    assert (again.status, again.wandb, again.finished) == ("interrupted", "lossprint/abc", None)
    assert again.begin(CONFIG).status == "running"


def test_a_run_from_begin_to_finish(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, "first", "triplet", 0, 0)
    running = record(folder).begin(CONFIG)
    assert load_record(folder) == running
    assert running.status == "running"
    assert running.finished is None
    assert running.config() == CONFIG
    metrics = {"test/map_at_r": 0.25, "test/undefined": math.nan}
    finished = running.finish(metrics, {"train": 61})
    again = load_record(folder)
    assert again.status == "finished"
    assert again.started == running.started
    assert again.finished is not None
    assert again.finished >= (running.started or "")
    assert again.metrics["test/map_at_r"] == 0.25
    assert math.isnan(again.metrics["test/undefined"])
    assert again.durations == {"train": 61.0}
    assert again.versions == {"torch": "2"}
    assert finished.metrics_file == folder / "metrics.csv"
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "run.json"]


def test_file_is_strict_json_with_a_schema_version(tmp_path: Path) -> None:
    record(tmp_path).begin(CONFIG).finish({"a": math.nan}, {})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert content["schema_version"] == 1
    assert content["metrics"] == {"a": None}
    assert "folder" not in content  # a run may be moved


def test_failure_holds_the_error(tmp_path: Path) -> None:
    failed = record(tmp_path).begin(CONFIG).fail(ValueError("margin\n  is wide"))
    assert load_record(tmp_path).error == failed.error == "ValueError: margin is wide"
    assert load_record(tmp_path).status == "failed"
    begun_again = failed.begin(CONFIG)
    assert (begun_again.error, begun_again.finished) == (None, None)
    assert begun_again.started == failed.started


def test_record_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = record(tmp_path).begin(CONFIG)

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        running.finish({}, {})
    assert load_record(tmp_path) == running
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "run.json"]


def test_unreadable_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no run: there is no run\.json"):
        load_record(tmp_path)
    path = tmp_path / "run.json"
    for text in ("{", "[]", '{"schema_version": 1, "loss": "triplet"}', "{}"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"run\.json is not a run's record"):
            load_record(tmp_path)
    path.write_text('{"schema_version": 99}')
    with pytest.raises(ValueError, match=r"schema version 99; .* reads 1"):
        load_record(tmp_path)
    with pytest.raises(ValueError, match=r"status must be one of running, .* not 'done'"):
        record(tmp_path, status="done")


def test_output_folder_is_checked_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "folder", required_bytes=1)
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write to the output folder .*file/below"):
        check_writable(tmp_path / "file" / "below")
    with pytest.raises(OSError, match=r"MB free, but 1000000000000 MB are needed"):
        check_writable(tmp_path, required_bytes=10**18)

    def read_only(**_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(PermissionError, match=r"cannot write to the output folder.*Read-only"):
        check_writable(tmp_path)


def test_many_may_ask_for_one_output_folder_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(check_writable, tmp_path / "run") for _ in range(400)]
    assert [job.exception() for job in asked] == [None] * 400
