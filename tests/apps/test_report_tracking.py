"""Each training run in the tracker gets its own results, whatever other runs are called."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import torch
from PIL import Image

from lossprint.apps.evidence import EVIDENCE
from lossprint.apps.report_tracking import complete_training_runs, track_report
from lossprint.reports.evidence import Evidence
from lossprint.runs.record import RunRecord
from lossprint.studies.networks import networks_of_runs
from lossprint.tensor_files import save_tensors


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
    assert summaries == {
        path: {"analysis/nr_precision/model": value} for path, value in values.items()
    }


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
        log_files=lambda *files: None,
        summarize=keys.extend,
    )
    track_report(tracker, report, Evidence({"properties": table}), [], [])
    assert sorted(keys) == ["analysis/properties", "answer", "figures/properties"]
