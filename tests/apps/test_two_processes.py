"""`trainer.devices=2` from the command to the folder: one run, one record, one W&B run."""

import subprocess
import sys

import pytest
from safetensors.torch import load_file

from lossprint.runs.record import load_record
from lossprint.training.callbacks.metrics_file import read_rows
from tests.apps.test_train import ROOT
from tests.small_world import overrides


@pytest.mark.slow
def test_two_processes_make_one_run(small_world):
    more = ["sweep=two", "loss=margin", "trainer.devices=2", "logger=wandb", "logger.mode=offline"]
    more += ["model.freeze_batchnorm=true", "callbacks=quiet"]
    command = [sys.executable, str(ROOT / "train.py"), *overrides(small_world), *more]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    folder = small_world / "outputs" / "two" / "margin" / "fold0-seed0"
    record = load_record(folder)
    assert record.status == "finished"
    shared = small_world / "outputs" / "two" / "wandb"  # of the sweep
    assert len(list(shared.glob("offline-run-*"))) == 1
    assert [row["epoch"] for row in read_rows(record.metrics_file)] == [0, 1]
    assert load_file(record.test_embeddings_file)["embeddings"].shape == (24, 128)
    assert any(name.startswith("nr/") for name in record.metrics)
    assert (folder / "saliency.png").exists()
    assert result.stdout.count(str(record.weights_file)) == 1  # one process speaks
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert "finished already" in again.stdout
