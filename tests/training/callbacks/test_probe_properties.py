"""NR-Prec while it trains: what is logged, kept and left alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_metric_learning.losses import TripletMarginLoss
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lossprint.data.probe import read_probe_set
from lossprint.data.transforms import Preprocessing
from lossprint.metrics import normalized_r_precision
from lossprint.probing import embeddings_key
from lossprint.runs.cache import cache_file, file_key
from lossprint.runs.tracker import Tracker
from lossprint.studies.subjects import Subject
from lossprint.training.callbacks.context import ProbeContext
from lossprint.training.callbacks.metrics_file import EpochMetrics, read_rows
from lossprint.training.callbacks.probe_properties import ProbeProperties
from lossprint.training.fit import Checkpoints, fit_and_test
from lossprint.training.losses import LossSpec
from lossprint.training.module import MetricLearning
from lossprint.training.optimizers import constant

IMAGES = 30


class Tables(Tracker):
    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {}

    def log_table(self, key: str, table: pd.DataFrame) -> None:
        self.tables[key] = table


class Batches(pl.LightningDataModule):
    """The same eight images of two classes, however they are asked for."""

    def loader(self) -> DataLoader:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(8, 3, 6, 6, generator=generator)
        return DataLoader(TensorDataset(images, torch.arange(8) % 2), batch_size=8)

    train_dataloader = val_dataloader = test_dataloader = loader


@pytest.fixture
def context(tmp_path: Path) -> ProbeContext:
    rng = np.random.default_rng(0)
    folder = tmp_path / "probe"
    (folder / "images").mkdir(parents=True)
    shade = rng.integers(0, 3, IMAGES)
    for frame in range(IMAGES):
        pixels = rng.integers(0, 40, (6, 6, 3)) + 100 * shade[frame]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{frame:06d}.png")
    table = {"frame": range(IMAGES), "shade": shade, "chance": rng.integers(0, 3, IMAGES)}
    pd.DataFrame(table).to_csv(folder / "samples.csv", index=False)
    return ProbeContext(
        probe=read_probe_set(folder, size=6, cache=tmp_path / "cache"),
        preprocessing=Preprocessing(),
        distance="lp",
        folder=tmp_path / "run",
        seed=0,
        tracker=Tables(),
    )


def trained(context: ProbeContext, callbacks: list[pl.Callback], epochs: int = 4):
    torch.manual_seed(0)
    module = MetricLearning(
        nn.Sequential(nn.Flatten(), nn.Linear(108, 4)),
        LossSpec("triplet", "ranking", "lp", TripletMarginLoss()),
        lambda groups: torch.optim.SGD(groups, lr=0.1),
        constant,
        seed=0,
    )
    checkpoints = Checkpoints(context.folder / "checkpoints")
    trainer = pl.Trainer(
        max_epochs=epochs,
        callbacks=[*callbacks, *checkpoints.callbacks()],
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    metrics = fit_and_test(
        trainer, module, Batches(), checkpoints, context.folder / "weights.safetensors"
    )
    return module, metrics


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_curves_table_and_embeddings(context):
    path = context.folder / "metrics.csv"
    callback = ProbeProperties(context, every=2, images=20)
    module, metrics = trained(context, [callback, EpochMetrics(path)])

    rows = {row["epoch"]: row for row in read_rows(path)}
    measured = [epoch for epoch, row in rows.items() if "probe/nr_precision/shade" in row]
    assert measured == [1, 3]
    assert "probe/nr_precision/chance" in rows[1]

    kept = load_file(next((context.folder / "analysis").glob("embeddings-*.safetensors")))
    images = context.preprocessing(context.probe.pixels(range(IMAGES)))
    torch.testing.assert_close(kept["embeddings"], module.embedder(images).detach())
    properties = {name: context.probe.properties[name] for name in ("shade", "chance")}
    expected = normalized_r_precision(kept["embeddings"], properties)
    for name, value in expected.items():
        assert metrics[f"probe/nr_precision/{name}"] == pytest.approx(value, rel=1e-6)
    assert metrics["probe/nr_precision/shade"] > metrics["probe/nr_precision/chance"] + 2

    table = pd.read_csv(context.folder / "probe_properties.csv")
    assert list(table.columns) == ["property", "untrained", "trained"]
    assert list(table["property"]) == ["shade", "chance"]
    np.testing.assert_allclose(table["trained"], list(expected.values()))
    untrained = [metrics[f"untrained/nr_precision/{name}"] for name in table["property"]]
    np.testing.assert_allclose(table["untrained"], untrained, rtol=1e-6)
    pd.testing.assert_frame_equal(context.tracker.tables["probe/nr_precision"], table)
    assert not list((context.folder / "analysis").glob("*.parts"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_analyses_find_the_embeddings(context):
    trained(context, [ProbeProperties(context)], epochs=1)
    subject = Subject(
        run="triplet",
        loss="triplet",
        family="ranking",
        distance="lp",
        fold=0,
        seed=0,
        weights_key=file_key(context.folder / "weights.safetensors"),
        cache=context.folder / "analysis",
        load=lambda: pytest.fail("the network was loaded again"),
    )
    key = embeddings_key(subject, context.probe)
    assert cache_file(subject.cache, "embeddings", key).is_file()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_training_is_the_same_with_and_without_it(context):
    module, _ = trained(context, [ProbeProperties(context, every=1)], epochs=2)
    for path in (context.folder / "checkpoints").iterdir():
        path.unlink()
    alone, _ = trained(context, [], epochs=2)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, module.state_dict()[name])


@pytest.mark.parametrize(
    ("options", "message"), [({"every": 0}, "every is 0"), ({"images": 2}, "images is 2")]
)
def test_settings_that_measure_nothing_are_refused(context, options, message):
    with pytest.raises(ValueError, match=message):
        ProbeProperties(context, **options)
