"""What W&B gets, read back from the file it keeps offline; and that nobody is asked or called."""

import builtins
import json
import os
import shutil
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import wandb
from PIL import Image
from wandb.errors import CommError

from lossprint.runs import wandb_tracker
from lossprint.runs.loggers import (
    check_logger,
    log_training_files,
    open_tracker,
    track_training,
)
from lossprint.runs.offline import offline_hints, offline_runs
from lossprint.runs.record import RunRecord, load_record, run_folder
from lossprint.runs.tracker import Points, TrackedRun, Tracker
from lossprint.runs.wandb_tracker import (
    add_to_summary,
    choose_mode,
    fetch_run,
    logged_in,
)
from tests.runs.wandb_file import read_back

CONFIG = {
    "seed": 0,
    "loss": {"name": "triplet", "criterion": {"margin": 0.2}, "miner": None},
    "betas": [1, 2],
}
LOGGER = {"name": "wandb", "project": "lossprint", "entity": None, "mode": "auto", "dir": None}
URL = "https://api.wandb.ai"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, no prompts."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb-data"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb-cache"))

    def asked(*_: object) -> str:
        raise AssertionError("nobody may be asked")

    monkeypatch.setattr(builtins, "input", asked)


def begin(root: Path, **changes: Any) -> RunRecord:
    values: dict[str, Any] = {"loss": "triplet", "family": "ranking", "fold": 0, "seed": 0}
    values |= {"distance": "lp", "data_fingerprint": "abc", **changes}
    config = {**CONFIG, "logger": values.pop("logger", LOGGER)}
    folder = run_folder(root, "first", values["loss"], values["fold"], values["seed"])
    return RunRecord(folder=folder, **values).begin(config)


def test_offline_file_holds_config_history_and_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = begin(tmp_path)
    with track_training(record, LOGGER, CONFIG) as tracker:
        tracker.log_table("runs", pd.DataFrame({"loss": ["triplet"], "value": [0.5]}))
        for epoch in range(3):
            tracker.log({"val/map_at_r": 0.25 * epoch, "train/loss": 1.0}, epoch)
        tracker.log_images({"gallery/neighbors": Image.new("RGB", (8, 8))}, epoch=2)
        tracker.summarize({"test/map_at_r": 0.5, "untrained/map_at_r": 0.125})
        record = record.with_wandb(tracker.path)
        record.weights_file.write_bytes(b"weights")
        log_training_files(tracker, record)
    found = read_back(tmp_path / "first")
    (files,) = (artifact for artifact in found.artifacts if artifact.type == "run")
    assert sorted(entry.path for entry in files.manifest.contents) == [
        "config.yaml",
        "run.json",
        "weights.safetensors",
    ]
    copies = [path for path in (tmp_path / "wandb-data").rglob("*") if path.is_file()]
    assert b"weights" not in [path.read_bytes() for path in copies]
    assert found.run.project == "lossprint"
    assert found.run.run_group == "first"
    assert found.run.job_type == "train"
    assert found.run.display_name == "triplet-fold0-seed0"
    assert list(found.run.tags) == ["ranking", "triplet"]
    assert load_record(record.folder).wandb == f"lossprint/{found.run.run_id}"
    assert {key: found.config[key] for key in CONFIG} == CONFIG
    assert found.config["data_fingerprint"] == "abc"
    rows = [row for row in found.history if "val/map_at_r" in row]
    assert [(row["epoch"], row["_step"]) for row in rows] == [(0, 0), (1, 1), (2, 2)]
    assert [row["val/map_at_r"] for row in rows] == [0, 0.25, 0.5]
    assert rows[2]["gallery/neighbors._type"] == "image-file"
    assert found.summary["test/map_at_r"] == 0.5
    assert found.summary["untrained/map_at_r"] == 0.125
    assert found.exit_code == 0
    # who started the sweep says how to upload it; no files but these
    assert capsys.readouterr().out == ""
    (kept,) = offline_runs(record)
    assert kept.parent == tmp_path / "first" / "wandb"
    assert offline_hints([kept]) == {
        "look": f"wandb leet {kept.parent}",
        "upload": f"wandb sync {kept}",
    }
    files = {path.relative_to(kept).parts[1] for path in kept.glob("files/*")}
    assert files <= {"requirements.txt", "media"}  # no source, no console output, no machine


def test_runs_of_one_process_are_their_own_also_after_failure(tmp_path: Path) -> None:
    first, second = begin(tmp_path, seed=0), begin(tmp_path, seed=1)
    opened = []

    def diverge() -> None:
        with track_training(first, LOGGER, CONFIG) as tracker:
            opened.append(tracker)
            tracker.summarize({"value": 1})
            raise ArithmeticError("loss became nan")

    with pytest.raises(ArithmeticError, match="loss became nan"):
        diverge()
    assert wandb.run is None
    with track_training(second, LOGGER, CONFIG) as tracker:
        opened.append(tracker)
        tracker.summarize({"value": 2})
    assert wandb.run is None
    numbers = [tracker.path.rpartition("/")[2] for tracker in opened]
    one, two = (read_back(tmp_path / "first", number) for number in numbers)
    assert (one.exit_code, two.exit_code) == (1, 0)
    assert (one.summary["value"], two.summary["value"]) == (1, 2)
    assert one.run.run_id != two.run.run_id


def test_continued_run_keeps_its_identity(tmp_path: Path) -> None:
    record = begin(tmp_path).with_wandb("someone/lossprint/abc123")
    with track_training(record, LOGGER, CONFIG) as tracker:
        assert tracker.path == "lossprint/abc123"


def test_unreachable_server_leaves_the_run_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    original, modes = wandb.init, []

    def init(**arguments: Any) -> Any:
        modes.append(arguments["mode"])
        if arguments["mode"] == "online":
            raise CommError("no route\nto host")
        return original(**arguments)

    monkeypatch.setattr(wandb, "init", init)
    record = begin(tmp_path)
    with track_training(record, LOGGER, CONFIG) as tracker:
        tracker.summarize({"value": 1})
    assert modes == ["online", "offline"]
    assert read_back(record.sweep_folder).summary["value"] == 1
    assert "W&B cannot be reached (no route to host)" in capsys.readouterr().out


def test_a_server_that_vanishes_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    record = begin(tmp_path)
    with track_training(record, LOGGER, CONFIG) as tracker:

        def gone(*arguments: object, **options: object) -> None:
            raise ConnectionResetError("the service has gone")

        for name in ("log", "log_artifact", "finish"):
            monkeypatch.setattr(tracker.run, name, gone)
        tracker.log({"a": 1.0}, 0)
        tracker.log_images({"b": Image.new("RGB", (2, 2))}, epoch=0)
        log_training_files(tracker, record)
    assert caplog.text.count("going on without") == 1
    assert "the service has gone" in caplog.text


class VanishingServer(BaseHTTPRequestHandler):
    """A W&B server that lets a run begin, and is then out of order."""

    begun = False

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = b""
        if b"UpsertBucket" in asked and not type(self).begun:
            type(self).begun = True
            project = {"name": "lossprint", "entity": {"name": "someone"}}
            bucket = {"id": "1", "name": "abc123", "displayName": "a", "project": project}
            answer = json.dumps({"data": {"upsertBucket": {"bucket": bucket}}}).encode()
        self.send_response(200 if answer else 503)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


def test_what_a_vanished_server_does_not_take_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    wandb.teardown()  # of a process that read its settings earlier
    request.addfinalizer(wandb.teardown)
    monkeypatch.setattr(wandb_tracker, "SERVER_PATIENCE", 60.0)
    monkeypatch.setattr(wandb_tracker, "UPLOAD_PATIENCE", 1.0)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    record = begin(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), VanishingServer) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        with track_training(record, LOGGER, CONFIG) as tracker:
            assert tracker.path == "someone/lossprint/abc123"
            tracker.log({"a": 1.0}, 0)
            ended = time.monotonic()
        assert 1 <= time.monotonic() - ended < 20
        server.shutdown()
    assert [row["a"] for row in read_back(record.sweep_folder).history] == [1.0]


def test_mode_follows_login_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not logged_in(URL)
    assert choose_mode("auto", URL) == "offline"
    assert choose_mode("offline", URL) == "offline"
    with pytest.raises(ValueError, match=r"nobody is logged in at https://api\.wandb\.ai"):
        choose_mode("online", URL)
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert logged_in(URL)
    assert not logged_in("https://wandb.example.org")
    assert choose_mode("auto", URL) == choose_mode("online", URL) == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose_mode("auto", URL) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode("auto", URL) == "disabled"
    (tmp_path / "netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert logged_in(URL)


@pytest.mark.parametrize("name", ["csv", "none"])
def test_other_loggers_track_nothing(tmp_path: Path, name: str) -> None:
    record = begin(tmp_path)
    with track_training(record, {"name": name}, CONFIG) as tracker:
        tracker.log({"a": 1.0}, 0)
        log_training_files(tracker, record)
    assert type(tracker) is Tracker
    assert tracker.path is None
    assert sorted(path.name for path in record.folder.iterdir()) == ["config.yaml", "run.json"]


def test_wandb_mode_disabled_tracks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with track_training(begin(tmp_path), LOGGER, CONFIG) as tracker:
        assert type(tracker) is Tracker


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ({"name": "board"}, r"logger='board' is unknown; valid are wandb, tensorboard, csv, none"),
        ({"name": "csv", "mode": "auto"}, r"unknown logger\.mode; valid are name"),
        ({**LOGGER, "mode": "on"}, r"logger\.mode='on' is unknown; valid are auto, online"),
        ({**LOGGER, "project": ""}, r"logger\.project='' must be the name"),
        ({**LOGGER, "projct": "a"}, r"unknown logger\.projct; valid are name, project"),
    ],
)
def test_wrong_loggers_are_refused(tmp_path: Path, logger: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_logger(logger)


class FakeApi:
    """The part of `wandb.Api` that is used, over runs that lie in folders."""

    def __init__(self, runs: dict[str, list[Any]]) -> None:
        self.runs = runs
        self.summaries: dict[str, dict[str, Any]] = {path: {} for path in runs}

    def run(self, path: str) -> Any:
        return SimpleNamespace(
            group="first",
            logged_artifacts=lambda: self.runs[path],
            summary=self.summaries[path],
        )


class FakeArtifact:
    def __init__(self, source: Path, created_at: str, kind: str = "run") -> None:
        self.source, self.created_at, self.type = source, created_at, kind
        self.downloads = 0

    def download(self, root: str) -> str:
        self.downloads += 1
        shutil.copytree(self.source, root)
        return root


def test_runs_are_fetched_by_their_path(tmp_path: Path) -> None:
    path = "someone/lossprint/abc123"
    original = begin(tmp_path / "there").with_wandb(path)
    original.weights_file.write_bytes(b"weights")
    original = original.finish({"test/map_at_r": 0.5}, {})
    newest = FakeArtifact(original.folder, "2026-02-02")
    older = FakeArtifact(tmp_path, "2026-01-01")
    api = FakeApi({path: [older, newest, FakeArtifact(tmp_path, "2027-01-01", "history")]})
    here = tmp_path / "here"
    fetched = fetch_run(path, here, api=api)
    assert fetched.folder == here / "first" / "triplet" / "fold0-seed0"
    assert fetched.metrics == {"test/map_at_r": 0.5}
    assert fetched.weights_file.read_bytes() == b"weights"
    assert fetch_run(path, here, api=api) == fetched
    assert (newest.downloads, older.downloads) == (1, 0)
    assert [entry.name for entry in here.iterdir()] == ["first"]


def test_fetched_run_does_not_replace_another_of_its_name(tmp_path: Path) -> None:
    path = "someone/lossprint/abc123"
    mine = begin(tmp_path / "here").finish({"test/map_at_r": 0.1}, {})
    theirs = begin(tmp_path / "there").with_wandb(path).finish({"test/map_at_r": 0.9}, {})
    api = FakeApi({path: [FakeArtifact(theirs.folder, "2026")]})
    fetched = fetch_run(path, tmp_path / "here", api=api)
    assert fetched.metrics == {"test/map_at_r": 0.9}
    assert fetched.sweep == "first-abc123"
    assert load_record(mine.folder).metrics == {"test/map_at_r": 0.1}


def rewrite(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"loss": "../../../evil"}, "first"),
        ({"loss": "/tmp/evil"}, "first"),
        ({"fold": "../../../evil"}, "first"),
        ({"seed": "0/../../../evil"}, "first"),
        ({"loss": ".."}, "first"),
        ({}, "../../evil"),
        ({}, "/tmp/evil"),
        ({}, ".."),
    ],
)
def test_a_fetched_run_lies_below_the_outputs(
    tmp_path: Path, changes: dict, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = begin(tmp_path / "there").finish({}, {})
    rewrite(theirs.folder, **changes)
    api = FakeApi({"a/b/c": [FakeArtifact(theirs.folder, "2026")]})
    run = api.run("a/b/c")
    run.group = group
    monkeypatch.setattr(api, "run", lambda path: run)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"must be a plain name|not a whole number"):
        fetch_run("a/b/c", tmp_path / "a" / "b" / "c", api=api)
    assert not [p for p in tmp_path.rglob("run.json") if p not in before]
    assert not Path("/tmp/evil").exists()


def test_of_an_artifact_only_a_runs_files_are_kept(tmp_path: Path) -> None:
    theirs = begin(tmp_path / "there").finish({}, {})
    (theirs.folder / "timm.py").write_text("raise SystemExit")
    api = FakeApi({"a/b/c": [FakeArtifact(theirs.folder, "2026")]})
    fetched = fetch_run("a/b/c", tmp_path / "here", api=api)
    assert {path.name for path in fetched.folder.iterdir()} <= {
        "run.json", "config.yaml", "metrics.csv", "weights.safetensors",
    }  # fmt: skip


def test_without_a_network_it_is_said_in_a_line(tmp_path: Path) -> None:
    class Unreachable:
        def run(self, path: str) -> Any:
            raise CommError("no route\nto host")

    with pytest.raises(ConnectionError, match=r"a/b/c cannot be fetched \(no route to host\)"):
        fetch_run("a/b/c", tmp_path, api=Unreachable())


def test_runs_without_files_cannot_be_fetched(tmp_path: Path) -> None:
    api = FakeApi({"a/b/c": []})
    with pytest.raises(ValueError, match=r"run a/b/c holds no artifact of type 'run'"):
        fetch_run("a/b/c", tmp_path, api=api)
    with pytest.raises(ValueError, match=r"'b/c' is no W&B run; a path is entity/project/id"):
        fetch_run("b/c", tmp_path, api=api)
    assert list(tmp_path.iterdir()) == []


def test_figures_are_added_to_a_finished_run() -> None:
    api = FakeApi({"a/b/c": []})
    add_to_summary("a/b/c", {"nr/model": 3.0}, api=api)
    assert api.summaries["a/b/c"] == {"nr/model": 3.0}


class FakeRun:
    """The part of an online `wandb.Run` that is used."""

    entity, project, id = "someone", "lossprint", "abc123"

    def __init__(self) -> None:
        self.logged: list[Any] = []
        self.used: list[Any] = []

    def log_artifact(self, artifact: wandb.Artifact) -> None:
        self.logged.append(artifact)

    def use_artifact(self, artifact: Any) -> None:
        self.used.append(artifact)


def test_online_run_logs_what_an_analysis_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun()
    tracker = wandb_tracker.WandbTracker(run, online=True)  # type: ignore[arg-type]
    assert tracker.path == "someone/lossprint/abc123"
    record = begin(tmp_path).with_wandb(tracker.path)
    record.weights_file.write_bytes(b"weights")
    log_training_files(tracker, record)
    (artifact,) = run.logged
    assert (artifact.name, artifact.type) == ("run-abc123", "run")
    assert set(artifact.manifest.entries) == {"run.json", "config.yaml", "weights.safetensors"}
    trained = FakeArtifact(tmp_path, "2026")
    monkeypatch.setattr(wandb, "Api", lambda: FakeApi({"someone/lossprint/abc123": [trained]}))
    tracker.use([record, record.with_wandb(None), record.with_wandb("lossprint/offline")])
    assert run.used == [trained]


def test_runs_are_kept_where_the_logger_says(tmp_path: Path) -> None:
    logger = {**LOGGER, "dir": str(tmp_path / "elsewhere")}
    record = begin(tmp_path, logger=logger)
    with track_training(record, logger, CONFIG) as tracker:
        record = record.with_wandb(tracker.path)
    (kept,) = offline_runs(record)
    assert kept.parent == tmp_path / "elsewhere" / "wandb"
    assert not (tmp_path / "first" / "wandb").exists()


def test_two_runs_of_a_sweep_are_uploaded_by_one_line() -> None:
    runs = [Path(f"my runs/wandb/offline-run-{n}-abc{n}") for n in range(2)]
    assert offline_hints([*runs, Path("other/wandb/offline-run-2-x")]) == {
        "look": "wandb leet 'my runs/wandb'",
        "upload": "wandb sync 'my runs/wandb'/offline-run-* other/wandb/offline-run-2-x",
    }
    assert offline_hints([]) == {}


def test_runs_that_are_online_or_not_tracked_need_no_upload(tmp_path: Path) -> None:
    record = begin(tmp_path)
    assert offline_runs(record) == offline_runs(record.with_wandb("me/lossprint/abc")) == []


def test_analysis_runs_are_of_their_own_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = TrackedRun(
        folder=tmp_path / "analysis",
        name="first",
        group="first",
        job_type="analysis",
        tags=("analysis",),
        config={},
    )
    pictures = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    with open_tracker(LOGGER, run) as tracker:
        tracker.log_table("retrieval", pd.DataFrame({"loss": ["triplet"]}, index=[7]))
        points = Points(
            pd.DataFrame({"d1": [0, 1, 2], "d2": [3.0, 4.0, 5.0]}),
            pd.DataFrame({"loss": "triplet", "frame": [7, 8, 7]}),
            [pictures[0], pictures[1], pictures[0]],
        )
        tracker.log_embeddings("embeddings", points)
    found = read_back(tmp_path / "analysis")
    (kept,) = (tmp_path / "analysis" / "wandb").glob("offline-run-*")
    look, upload = f"W&B, look wandb leet {kept.parent}", f"W&B, upload wandb sync {kept}"
    assert capsys.readouterr().out == f"{look}\n{upload}\n"
    assert found.run.job_type == "analysis"
    assert any(row.get("retrieval._type") == "table-file" for row in found.history)
    (table,) = kept.glob("files/media/table/embeddings_*.table.json")
    points = json.loads(table.read_text())
    assert points["columns"] == ["picture", "loss", "frame", "d1", "d2"]
    assert [row[1:] for row in points["data"]] == [
        ["triplet", 7, 0.0, 3.0], ["triplet", 8, 1.0, 4.0], ["triplet", 7, 2.0, 5.0],
    ]  # fmt: skip
    (kept_by_name,) = (x for x in found.artifacts if x.name.endswith("embeddings"))
    files = [entry.path for entry in kept_by_name.manifest.contents]
    assert sum(path.endswith(".jpg") for path in files) == 2  # each picture once


@pytest.mark.parametrize("home", [True, False])
def test_files_are_staged_with_the_run_where_there_is_no_home(
    home: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "home" / "below"))
    monkeypatch.setattr(os, "access", lambda path, mode: home or path != tmp_path)
    wandb_tracker._without_home(tmp_path / "run")
    place = tmp_path / "home" / "below" if home else tmp_path / "run" / "wandb"
    assert os.environ["WANDB_DATA_DIR"] == os.environ["WANDB_CACHE_DIR"] == str(place)
