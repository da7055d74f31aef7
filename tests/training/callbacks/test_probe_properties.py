"""NR-Prec while it trains: what is logged, kept and left alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.metrics import normalized_r_precision
from lossprint.models.backbones import Backbone
from lossprint.models.embedder import Embedder
from lossprint.probing import (
    KeptNetwork,
    PropertySettings,
    probe_embeddings,
    probe_properties,
    weights_file_key,
)
from lossprint.training.callbacks.metrics_file import EpochMetrics, read_rows
from lossprint.training.callbacks.probe_properties import ProbeProperties
from lossprint.training.checkpoints import Checkpoints
from lossprint.training.fit import fit_and_test
from lossprint.training.losses import LossSpec
from lossprint.training.module import MetricLearning
from lossprint.training.optimizers import constant

IMAGES = 30


class Batches(pl.LightningDataModule):
    """The same eight images of two classes, however they are asked for."""

    def loader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(8, 3, 6, 6, generator=generator)
        return DataLoader(TensorDataset(images, torch.arange(8) % 2), batch_size=8)

    train_dataloader = val_dataloader = test_dataloader = loader


@pytest.fixture
def probe() -> ProbeSet:
    rng = np.random.default_rng(0)
    shade = rng.integers(0, 3, IMAGES)
    pixels = rng.integers(0, 40, (IMAGES, 6, 6, 3)) + 100 * shade[:, None, None, None]
    table = {"shade": shade, "chance": rng.integers(0, 3, IMAGES)}
    return ProbeSet.from_arrays(pixels.clip(0, 255).astype(np.uint8), table)


def trained(folder: Path, callbacks: list[pl.Callback], epochs: int = 4):
    torch.manual_seed(0)
    module = MetricLearning(
        Embedder(Backbone(nn.Flatten(), 108), 4),
        LossSpec("triplet", "ranking", "lp", TripletMarginLoss()),
        lambda groups: torch.optim.SGD(groups, lr=0.1),
        constant,
        embedding_lr=0.1,
        seed=0,
    )
    checkpoints = Checkpoints(folder / "checkpoints", run="test")
    trainer = pl.Trainer(
        max_epochs=epochs,
        callbacks=[*callbacks, *checkpoints.callbacks()],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    metrics = fit_and_test(trainer, module, Batches(), checkpoints, folder / "weights.safetensors")
    return module, metrics


def measuring(probe: ProbeSet, folder: Path, **options) -> ProbeProperties:
    return ProbeProperties(probe, Preprocessing(), folder=folder, final="test", **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_curves_table_and_embeddings(probe, tmp_path):
    path = tmp_path / "metrics.csv"
    callback = measuring(probe, tmp_path, every_n_validations=2, images=20)
    module, metrics = trained(tmp_path, [callback, EpochMetrics(path)])

    rows = {row["epoch"]: row for row in read_rows(path)}
    measured = [epoch for epoch, row in rows.items() if "nr/shade" in row]
    assert measured == [1, 3]
    assert "nr/chance" in rows[1]

    # What a study asks of the finished run is kept.
    key = weights_file_key(tmp_path / "weights.safetensors")
    network = KeptNetwork(key, "lp", tmp_path / "analysis")
    embeddings = probe_embeddings(network, probe)
    images = Preprocessing()(probe.pixels(range(IMAGES)))
    torch.testing.assert_close(embeddings, module.embedder(images).detach())
    kept = probe_properties(network, probe, PropertySettings())
    properties = {name: probe.properties[name] for name in ("shade", "chance")}
    expected = normalized_r_precision(embeddings, properties, variance="hypergeometric")
    assert kept == expected
    for name, value in expected.items():
        assert metrics[f"nr/{name}"] == pytest.approx(value, rel=1e-6)
        alone = np.eye(3)[properties[name]]  # where each value is a point, every neighbour matches
        most = normalized_r_precision(alone, properties[name], variance="hypergeometric")
        assert metrics[f"nr_share/{name}"] == pytest.approx(value / most, rel=1e-6)
    assert metrics["nr/shade"] > metrics["nr/chance"] + 2

    table = pd.read_csv(tmp_path / "probe_properties.csv")
    assert list(table.columns) == ["property", "untrained", "trained"]
    assert list(table["property"]) == ["shade", "chance"]
    np.testing.assert_allclose(table["trained"], list(expected.values()))
    torch.manual_seed(0)
    initial = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))(images).detach()
    untrained = normalized_r_precision(initial, properties, variance="hypergeometric")
    np.testing.assert_allclose(table["untrained"], list(untrained.values()))
    for name, value in untrained.items():
        assert metrics[f"untrained/nr/{name}"] == pytest.approx(value, rel=1e-6)
    assert not list((tmp_path / "analysis").glob("*.parts"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_is_the_same_with_and_without_it(probe, tmp_path):
    looking = measuring(probe, tmp_path, every_n_steps=1)
    module, _ = trained(tmp_path / "with", [looking], epochs=2)
    alone, _ = trained(tmp_path / "without", [], epochs=2)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, module.state_dict()[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_steps": 0}, "every_n_steps=0 must be at least 1"),
        ({"images": 2}, "images=2 must be at least 3"),
        ({"variance": "normal"}, "variance='normal' is unknown; valid are binomial, "),
    ],
)
def test_settings_that_measure_nothing_are_refused(probe, options, message):
    with pytest.raises(ValueError, match=message):
        ProbeProperties(probe, Preprocessing(), **options)
