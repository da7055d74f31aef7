"""A run that an earlier version trained (run.json of schema version 1) is still analysed."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lossprint.apps import build
from lossprint.runs.record import load_record
from tests.apps.test_comparison import run

STORED = Path(__file__).parents[1] / "runs" / "stored" / "version1"
FOLDER = Path("snr_contrastive", "fold0-seed0")


@pytest.mark.parametrize(
    ("ask", "section"), [(build.partition, "data"), (build.probe_set, "probe")]
)
def test_sets_of_earlier_versions_are_of_the_size_that_networks_saw(ask, section, monkeypatch):
    """Their configurations say nothing of a size to render at."""
    asked = {}

    def fill(folder: str, **what: object) -> None:
        asked.update(what)
        raise LookupError

    monkeypatch.setattr(build, "ensure_set", fill)
    render = {"seed": 0, "samples": 16}
    world = {"source": {"root": "world"}, "size": 64}
    world["render"] = render | {"designs": 64, "frames_per_design": 14}
    probe = {"folder": "nowhere", "size": 64, "limit": 240, "render": render | {"count": 240}}
    with pytest.raises(LookupError):
        ask({"data": world, "probe": probe, "data_root": "data"})
    kind = {"data": "world", "probe": "probe"}[section]
    assert (asked["kind"], asked["size"], asked["samples"]) == (kind, 64, 16)


def test_a_run_of_schema_version_1_becomes_a_report(small_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its configuration names its folders relative to where it ran
    shutil.copytree(STORED, tmp_path / "outputs" / "small")
    shutil.copytree(small_world / "probe", tmp_path / "probe")
    shutil.rmtree(tmp_path / "outputs" / "small" / FOLDER / "analysis")
    report, _ = run(tmp_path / "outputs", "untrained=false")
    tables = report.page.parent / "tables"
    retrieval = pd.read_csv(tables / "retrieval.csv", float_precision="round_trip").set_index(
        "metric"
    )["value"]
    metrics = load_record(STORED / FOLDER).metrics
    assert retrieval["map_at_r"] == metrics["test/map_at_r"]
    curves = pd.read_csv(tables / "curves.csv", float_precision="round_trip")
    assert curves.query("metric == 'val/map_at_r'")["value"].max() == metrics["val/map_at_r"]

    # The weights are read into the network that they were trained in.
    (kept,) = (STORED / FOLDER / "analysis").glob("embeddings-*.safetensors")
    (made,) = (tmp_path / "outputs" / "small" / FOLDER).glob("analysis/embeddings-*.safetensors")
    torch.testing.assert_close(
        load_file(made)["embeddings"], load_file(kept)["embeddings"], rtol=1e-4, atol=1e-5
    )
