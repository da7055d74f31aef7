"""What a training keeps of itself at several levels of validation."""

import torch

from lossprint.runs.levels import kept_levels
from lossprint.runs.record import MONITOR
from lossprint.tensor_files import load_tensors
from lossprint.training.callbacks.kept_levels import KeptLevels
from lossprint.training.callbacks.metrics_file import EpochMetrics, read_rows
from tests.training.callbacks.test_probe_properties import trained


def test_each_state_is_that_of_its_epoch(tmp_path):
    log = tmp_path / "metrics.csv"
    module, metrics = trained(tmp_path, [KeptLevels(tmp_path / "levels", 9), EpochMetrics(log)])
    levels = kept_levels(tmp_path / "levels")
    logged = {row["epoch"]: row[MONITOR] for row in read_rows(log) if MONITOR in row}
    assert {level.epoch: level.value for level in levels} == logged
    assert len(logged) == 4
    best = next(level for level in levels if level.epoch == metrics["best_epoch"])
    assert best.value == metrics[MONITOR]
    for name, values in load_tensors(best.weights_file).items():
        torch.testing.assert_close(values, module.embedder.state_dict()[name])


def test_no_more_than_asked_for(tmp_path):
    trained(tmp_path, [KeptLevels(tmp_path / "levels", 2)], epochs=5)
    assert len(kept_levels(tmp_path / "levels")) == 2
