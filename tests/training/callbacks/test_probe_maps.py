"""Maps of the probe images during a training, on a real trainer and a probe set on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lossprint.data.probe import ProbeSet, read_probe_set
from lossprint.data.transforms import Preprocessing
from lossprint.probing import MapSettings, maps_key
from lossprint.runs.cache import file_key
from lossprint.runs.tracker import Tracker
from lossprint.studies.subjects import Subject
from lossprint.training.callbacks.context import ProbeContext
from lossprint.training.callbacks.probe_maps import ProbeMaps
from lossprint.training.fit import save_weights
from lossprint.training.map_strip import map_strip

SIZE, COUNT, SAMPLES = 16, 5, 2


class Pictures(Tracker):
    """Keeps the epochs of the pictures it is handed."""

    def __init__(self) -> None:
        self.epochs: list[int | None] = []

    def log_images(self, images: Any, *, epoch: int | None = None) -> None:
        self.epochs.append(epoch)


class Learner(pl.LightningModule):
    """Anything with an `embedder` and the prefix of its test."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embedder = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6)
        )
        for weight in self.embedder.parameters():
            nn.init.normal_(weight, std=0.3, generator=generator)
        self.test_prefix = "untrained"

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.embedder.parameters(), lr=0.5)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.embedder(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.embedder(batch)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.embedder(batch)


@pytest.fixture
def probe(tmp_path: Path) -> ProbeSet:
    random = np.random.default_rng(0)
    folder = tmp_path / "probe"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for frame in range(COUNT):
        pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{frame:06d}.png")
        labels = np.zeros((SIZE, SIZE), dtype=np.uint8)
        labels[:4] = 1  # a quarter of the image is car
        Image.fromarray(labels).save(folder / "masks" / f"{frame:06d}.png")
    table = pd.DataFrame({"frame": range(COUNT), "model": [0, 1, 0, 1, 0]})
    table.to_csv(folder / "samples.csv", index=False)
    return read_probe_set(folder, size=SIZE, cache=tmp_path / "decoded")


@pytest.fixture
def context(probe: ProbeSet, tmp_path: Path) -> ProbeContext:
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    folder = tmp_path / "sweep" / "triplet" / "fold0-seed0"
    folder.mkdir(parents=True)
    return ProbeContext(probe, preprocessing, "lp", folder, 0, Pictures())


def train(callback: ProbeMaps, folder: Path) -> tuple[Learner, dict[str, float]]:
    """Test, fit two epochs, test: as a run does. Gives all metrics that were logged."""
    module, metrics = Learner(), {}
    trainer = pl.Trainer(
        max_epochs=2,
        callbacks=[callback],
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader: DataLoader = DataLoader(torch.ones(2, 3, SIZE, SIZE))
    metrics |= trainer.test(module, loader, verbose=False)[0]
    trainer.fit(module, loader, loader)
    metrics |= {f"epoch/{key}": float(value) for key, value in trainer.callback_metrics.items()}
    save_weights(module.embedder, folder / "weights.safetensors")
    module.test_prefix = "test"
    metrics |= trainer.test(module, loader, verbose=False)[0]
    return module, metrics


def test_a_training_logs_figures_pictures_and_keeps_its_maps(
    context: ProbeContext, probe: ProbeSet
) -> None:
    callback = ProbeMaps(context, every=1, images=4, watched=3, shown=2, samples=SAMPLES)
    module, metrics = train(callback, context.folder)

    assert metrics["untrained/area_share/car"] == pytest.approx(0.25)
    shares = [metrics[f"probe/saliency_share/{name}"] for name in ("car", "background", "shadow")]
    assert sum(shares) == pytest.approx(1)
    assert 0 < shares[0] < 1
    assert -1 <= metrics["probe/map_agreement/initial"] < 1
    assert "epoch/probe/map_agreement/initial" in metrics
    assert context.tracker.epochs == [0, 1, None]
    pictures = ["saliency/epoch0000.png", "saliency/epoch0001.png", "saliency.png"]
    assert all((context.folder / name).is_file() for name in pictures)

    # A later analysis finds these maps under its own key.
    subject = Subject(
        run="triplet",
        loss="triplet",
        family="ranking",
        distance="lp",
        fold=0,
        seed=0,
        weights_key=file_key(context.folder / "weights.safetensors"),
        cache=context.folder / "analysis",
        load=lambda: (module, context.preprocessing),
    )
    key = maps_key(subject, probe, MapSettings(images=4, samples=SAMPLES))
    maps = load_file(context.folder / "analysis" / f"maps-{key}.safetensors")["maps"]
    assert maps.dtype == torch.float16
    assert maps.shape == (4, SIZE, SIZE)
    assert module.embedder[0].weight.requires_grad


def test_weights_that_do_not_change_agree_with_themselves(context: ProbeContext) -> None:
    class Fixed(Learner):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.embedder.parameters(), lr=0.0)

    callback = ProbeMaps(context, images=3, samples=SAMPLES)
    module = Fixed()
    trainer = pl.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    loader: DataLoader = DataLoader(torch.ones(1, 3, SIZE, SIZE))
    trainer.callbacks.append(callback)
    trainer.test(module, loader, verbose=False)
    save_weights(module.embedder, context.folder / "weights.safetensors")
    module.test_prefix = "test"
    (metrics,) = trainer.test(module, loader, verbose=False)
    # The kept maps are of half precision.
    assert metrics["probe/map_agreement/initial"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["every", "images", "watched", "shown", "samples"])
def test_numbers_below_one_are_refused(context: ProbeContext, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0: it must be at least 1"):
        ProbeMaps(context, **{name: 0})


def test_a_reference_without_maps_is_refused(context: ProbeContext, tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=r"run\.json|no maps"):
        ProbeMaps(context, reference=str(tmp_path / "nowhere"))


def test_the_strip_shows_image_map_and_overlay() -> None:
    pixels = torch.full((2, 3, 64, 64), 200, dtype=torch.uint8)
    maps = torch.zeros(2, 64, 64)
    maps[1] = 1
    strip = np.asarray(map_strip(pixels, maps))
    assert strip.shape == (3 * 128 + 2 * 4, 2 * 128 + 4, 3)
    top, middle, bottom = strip[64], strip[128 + 4 + 64], strip[2 * 132 + 64]
    assert (top[[10, 200]] == 200).all()
    assert (middle[10] == 0).all()
    assert (middle[200] == 255).all()
    assert (bottom[10] == 80).all()
    assert (bottom[200] == 200).all()


def test_a_strip_of_maps_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"need maps \[1, 8, 8\], not \[1, 4, 4\]"):
        map_strip(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 4, 4))
