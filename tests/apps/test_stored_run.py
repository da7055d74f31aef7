"""A run that an earlier version trained (run.json of schema version 1) is still analysed."""

import shutil
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file

from lossprint.runs.record import load_record
from tests.apps.test_comparison import run

STORED = Path(__file__).parents[1] / "runs" / "stored" / "version1"
FOLDER = Path("snr_contrastive", "fold0-seed0")


def test_a_run_of_schema_version_1_becomes_a_report(small_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its configuration names its folders relative to where it ran
    shutil.copytree(STORED, tmp_path / "outputs" / "small")
    shutil.copytree(small_world / "probe", tmp_path / "probe")
    shutil.rmtree(tmp_path / "outputs" / "small" / FOLDER / "analysis")
    report, _ = run(tmp_path / "outputs", "untrained=false")
    tables = report.page.parent / "tables"
    retrieval = pd.read_csv(tables / "retrieval.csv").set_index("metric")["value"]
    metrics = load_record(STORED / FOLDER).metrics
    assert retrieval["map_at_r"] == metrics["test/map_at_r"]
    curves = pd.read_csv(tables / "curves.csv")
    assert curves.query("metric == 'val/map_at_r'")["value"].max() == metrics["val/map_at_r"]

    # The weights are read into the network that they were trained in.
    (kept,) = (STORED / FOLDER / "analysis").glob("embeddings-*.safetensors")
    (made,) = (tmp_path / "outputs" / "small" / FOLDER).glob("analysis/embeddings-*.safetensors")
    torch.testing.assert_close(
        load_file(made)["embeddings"], load_file(kept)["embeddings"], rtol=1e-4, atol=1e-5
    )
