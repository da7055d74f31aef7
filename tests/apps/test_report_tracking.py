"""Each training run in the tracker gets its own results, whatever other runs are called."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from rich.console import Console

from lossprint.apps.evidence import EVIDENCE
from lossprint.apps.report_tracking import (
    compared,
    complete_training_runs,
    make_workspace,
    track_report,
)
from lossprint.reports.evidence import Evidence
from lossprint.reports.style import loss_colors
from lossprint.runs.record import RunRecord
from lossprint.runs.tracker import Tracker
from lossprint.runs.workspace import FILE, Compared, check_workspace
from lossprint.studies.networks import networks_of_runs
from lossprint.tensor_files import save_tensors
from tests.reports import planted


def run(root: Path, sweep: str, loss: str) -> RunRecord:
    folder = root / sweep / loss / "fold0-seed0"
    record = RunRecord(folder, loss, "ranking", "lp", 0, 0, "same").begin({})
    save_tensors({folder.as_posix(): torch.ones(1)}, record.weights_file)
    return record.finish({}, {}).with_wandb(f"me/project/{sweep}-{loss}")


def test_names_that_end_alike_and_equal_names_in_two_sweeps_are_not_mixed_up(tmp_path, monkeypatch):
    records = [
        run(tmp_path, sweep, loss)
        for sweep in ("one", "two")
        for loss in ("contrastive", "snr_contrastive")
    ]
    networks, _ = networks_of_runs(records, lambda record: None)
    values = {record.wandb: float(place) for place, record in enumerate(records)}
    properties = pd.DataFrame(
        [{"run": n.name, "property": "model", "value": values[n.run.wandb]} for n in networks]
    )
    runs = pd.DataFrame([{"run": n.name, "loss": n.loss, "family": n.family} for n in networks])
    evidence = Evidence({"runs": runs, "properties": properties})
    summaries = {}
    monkeypatch.setattr("lossprint.runs.wandb_tracker.add_to_summary", summaries.__setitem__)
    complete_training_runs(evidence, [piece.section for piece in EVIDENCE], networks)
    assert summaries == {path: {"analysis/nr/model": value} for path, value in values.items()}


def test_a_figure_and_a_table_of_one_name_have_keys_of_their_own(tmp_path):
    figure = tmp_path / "figures" / "properties.png"
    figure.parent.mkdir()
    Image.new("RGB", (4, 4)).save(figure)
    page = tmp_path / "report.html"
    report = SimpleNamespace(page=page, figures={"properties": figure}, tables=[], answer="No.")
    table = pd.DataFrame({"property": ["model"], "value": [3.5]})
    keys = []
    tracker = SimpleNamespace(
        path="lossprint/offline",
        log_table=lambda key, table: keys.append(key),
        log_images=lambda images: keys.extend(images),
        log_embeddings=lambda key, *points: keys.append(key),
        log_files=lambda *files: None,
        summarize=keys.extend,
    )
    track_report(tracker, report, Evidence({"properties": table}), [], [])
    assert sorted(keys) == ["analysis/properties", "answer", "figures/properties"]


class Taken(Tracker):
    """Remembers what it is handed."""

    path = "cars/offline"

    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {}
        self.points: list[tuple] = []

    def log_table(self, key, table):
        self.tables[key] = table

    def log_embeddings(self, key, points):
        self.points.append((key, *points))


def test_the_projector_gets_each_image_with_its_properties_and_what_only_the_page_reads_stays_out(
    tmp_path,
):
    evidence, tracker = planted.evidence(), Taken()
    page = SimpleNamespace(page=tmp_path / "report.html", figures={}, tables=[], answer="No.")
    track_report(tracker, page, evidence, [piece.section for piece in EVIDENCE], [])
    assert "analysis/properties" in tracker.tables
    assert not {"analysis/neighbors", "analysis/atlas", "analysis/embeddings"} & {*tracker.tables}
    ((key, vectors, about, pictures),) = tracker.points
    assert key == "analysis/embeddings"
    assert set(vectors.dtypes) == {np.dtype(float)}
    assert list(about.columns) == ["loss", "family", "frame", "model", "color_hue"]
    assert len(vectors) == len(about) == len(pictures) == len(planted.FAMILIES) * planted.IMAGES
    row = about.query("loss == 'arcface' and frame == 4").index.item()
    assert about.loc[row, "model"] == "van"
    assert np.array_equal(np.asarray(pictures[row]), evidence.arrays["explorer/images"][4])


def test_without_a_server_the_workspace_is_a_file_that_names_what_it_shows(tmp_path):
    evidence, finding = planted.evidence(), SimpleNamespace(text="arcface stands out.")
    page = tmp_path / "report.html"
    report = SimpleNamespace(page=page, answer="They differ.", findings=[finding])
    logger = {"name": "wandb", "project": "cars", "entity": None}
    shown = compared(Taken(), report, evidence, logger, ["first", "first", "second"])
    assert (shown.entity, shown.sweeps) == ("", ["first", "second"])
    console = Console(file=io.StringIO())
    make_workspace(shown, tmp_path, console, online=False)
    assert "wandb login" in console.file.getvalue()
    text = (tmp_path / FILE).read_text()
    content = json.loads(text)
    (runs,) = content["workspace"]["spec"]["section"]["runSets"]
    assert [key["name"] for key in runs["grouping"]] == ["loss.value.name"]
    colors = content["workspace"]["spec"]["section"]["customRunColors"]
    assert set(colors.values()) == set(loss_colors(planted.FAMILIES).values())
    assert len(colors) == len(planted.FAMILIES)
    for key in ("test/map_at_r", "nr/model", "share/car", "figures/ladder", "test/gallery"):
        assert text.count(key) >= 2  # in the workspace and in the report
    assert report.answer in text
    assert finding.text in text


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"workspace": "https://w", "W&B report": "https://r"}, "W&B report https://r"),
        (ConnectionError("no\nroute"), "not made: W&B says no route; what it was sent is in"),
    ],
)
def test_where_the_workspace_is_or_why_there_is_none_is_said(tmp_path, monkeypatch, answers, told):
    def send(shown):
        if isinstance(answers, Exception):
            raise answers
        return answers

    monkeypatch.setattr("lossprint.apps.report_tracking.send_workspace", send)
    shown = Compared("first", "cars", "us", ["first"], {"arcface": "#aa0000"}, [], [], "Yes.", [])
    console = Console(file=io.StringIO())
    make_workspace(shown, tmp_path, console, online=True)
    assert told in console.file.getvalue()
    assert (tmp_path / FILE).is_file()


def test_what_a_workspace_needs_is_named(monkeypatch):
    with pytest.raises(ValueError, match="it needs logger=wandb, not csv"):
        check_workspace("csv")
    monkeypatch.setattr("lossprint.runs.workspace.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install wandb-workspaces"):
        check_workspace("wandb")
