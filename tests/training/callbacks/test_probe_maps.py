"""Maps of the probe images during a training, on a real trainer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lossprint.data.probe import ProbeSet
from lossprint.data.transforms import Preprocessing
from lossprint.models.checkpoints import weights_of
from lossprint.probing import KeptNetwork, MapSettings, probe_maps, weights_file_key
from lossprint.probing import maps as probing_maps
from lossprint.runs.tracker import Tracker
from lossprint.tensor_files import save_tensors
from lossprint.training.callbacks.probe_maps import ProbeMaps
from lossprint.training.map_strip import map_strip

SIZE, COUNT, SAMPLES = 16, 5, 2
PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class Pictures(Tracker):
    """Keeps the epochs of the pictures it is handed."""

    def __init__(self) -> None:
        self.epochs: list[int | None] = []

    def log_images(self, images: Any, *, epoch: int | None = None) -> None:
        self.epochs.append(epoch)


class Learner(pl.LightningModule):
    """Knows nothing of this package."""

    def __init__(self, lr: float = 0.5) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6)
        )
        for weight in self.trunk.parameters():
            nn.init.normal_(weight, std=0.3, generator=generator)
        self.lr = lr

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.trunk(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.trunk(batch)

    test_step = validation_step


@pytest.fixture
def probe() -> ProbeSet:
    random = np.random.default_rng(0)
    masks = np.zeros((COUNT, SIZE, SIZE), dtype=np.uint8)
    masks[:, :4] = 1  # a quarter of each image is car
    pixels = random.integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    return ProbeSet.from_arrays(pixels, {"model": [0, 1, 0, 1, 0]}, masks=masks)


def maps_of(probe: ProbeSet, preprocessing: Any = PREPROCESSING, **options: Any) -> ProbeMaps:
    options = {"embedder": lambda module: module.trunk, "samples": SAMPLES} | options
    return ProbeMaps(probe, preprocessing, **options)


def trainer_of(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        callbacks=list(callbacks),
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 2, "logger": False, "enable_checkpointing": False} | options,
    )


def loader() -> DataLoader:
    return DataLoader(torch.ones(2, 3, SIZE, SIZE))


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_a_training_logs_metrics_pictures_and_keeps_its_maps(probe: ProbeSet, tmp_path: Path):
    tracker = Pictures()
    callback = maps_of(
        probe, images=4, watched=3, shown=2, distance="lp", folder=tmp_path, tracker=tracker,
        final="test",
    )  # fmt: skip
    module, trainer = Learner(), trainer_of(callback)
    trainer.fit(module, loader(), loader())
    between = {name: float(value) for name, value in trainer.callback_metrics.items()}
    (metrics,) = trainer.test(module, loader(), verbose=False)

    assert metrics["untrained/area/car"] == pytest.approx(0.25)
    for key in ("share", "untrained/share"):
        names = ("car", "background", "shadow")
        shares = [metrics[f"{key}/{name}"] for name in names]
        assert sum(shares) == pytest.approx(1)
        assert 0 < shares[0] < 1
    assert -1 <= metrics["map_r/initial"] < 0.999
    assert -1 <= between["map_r/initial"] < 1
    assert tracker.epochs == [0, 1, 2]
    names = ["epoch0000-step000002.png", "epoch0001-step000004.png"]
    assert sorted(path.name for path in (tmp_path / "saliency").iterdir()) == names
    assert (tmp_path / "saliency.png").is_file()

    # A later analysis finds the final maps by the file of the weights.
    save_tensors(weights_of(module.trunk), tmp_path / "weights.safetensors")
    key = weights_file_key(tmp_path / "weights.safetensors")
    kept = KeptNetwork(key, "lp", tmp_path / "analysis")
    maps = load_file(probe_maps(kept, probe, MapSettings(images=4, samples=SAMPLES)))["maps"]
    assert (maps.dtype, maps.shape) == (torch.float16, (4, SIZE, SIZE))
    assert module.trunk[0].weight.requires_grad
    assert module.trunk.training


def test_weights_that_do_not_change_agree_with_themselves(probe: ProbeSet, tmp_path: Path):
    trainer = trainer_of(maps_of(probe, images=3, folder=tmp_path))
    trainer.fit(Learner(lr=0.0), loader(), loader())
    value = float(trainer.callback_metrics["map_r/initial"])
    assert value == pytest.approx(1, abs=1e-4)  # kept maps are of half precision


def test_the_loggers_and_the_folder_are_the_trainers(probe: ProbeSet, tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = [TensorBoardLogger(tmp_path, name="board"), CSVLogger(tmp_path, name="csv")]
    trainer = trainer_of(maps_of(probe, every_n_steps=1), logger=loggers)
    trainer.fit(Learner(), loader())
    folder = Path(loggers[0].log_dir)
    assert trainer.log_dir == str(folder)
    assert (folder / "saliency.png").is_file()
    board = EventAccumulator(str(folder))
    board.Reload()
    curve = board.Scalars("map_r/initial")
    assert [event.step for event in curve] == [1, 2, 3, 4, 4]  # the last of all images
    picture = board.Images("probe/saliency")[-1]
    with Image.open(folder / "saliency.png") as strip:
        assert (picture.width, picture.height) == strip.size
    rows = (Path(loggers[1].log_dir) / "metrics.csv").read_text()
    assert "share/car" in rows


def test_looks_are_counted_in_validations_or_steps(probe: ProbeSet, tmp_path: Path):
    def steps(**options: Any) -> list[str]:
        folder = tmp_path / "-".join(map(str, options.values()))
        trainer = trainer_of(maps_of(probe, folder=folder, **options), max_epochs=3)
        trainer.fit(Learner(), loader(), loader())
        return sorted(path.stem[-1] for path in folder.glob("saliency/*.png"))

    assert steps(every_n_validations=1) == ["2", "4", "6"]
    assert steps(every_n_validations=2) == ["4"]
    assert steps(every_n_validations=None) == []
    assert steps(every_n_validations=None, every_n_steps=4) == ["4"]


def test_a_continued_training_compares_with_the_weights_it_began_from(
    probe: ProbeSet, tmp_path: Path
):
    straight = trainer_of(maps_of(probe, folder=tmp_path / "straight"), max_epochs=3)
    straight.fit(Learner(), loader(), loader())
    first = trainer_of(maps_of(probe, folder=tmp_path / "first"), max_epochs=2)
    first.fit(Learner(), loader(), loader())
    first.save_checkpoint(tmp_path / "cut.ckpt")
    again = trainer_of(maps_of(probe, folder=tmp_path / "again"), max_epochs=3)
    again.fit(Learner(), loader(), loader(), ckpt_path=tmp_path / "cut.ckpt", weights_only=True)
    key = "map_r/initial"
    assert again.callback_metrics[key] == straight.callback_metrics[key] < 0.999

    for file in (tmp_path / "first" / "analysis").iterdir():
        file.unlink()
    lost = trainer_of(maps_of(probe, folder=tmp_path / "lost"), max_epochs=3)
    with pytest.warns(UserWarning, match="ProbeMaps compares with no initial weights"):
        lost.fit(Learner(), loader(), loader(), ckpt_path=tmp_path / "cut.ckpt", weights_only=True)
    assert key not in lost.callback_metrics


def test_another_preprocessing_makes_maps_of_its_own(probe: ProbeSet, tmp_path: Path):
    for scale in (255, 100):
        callback = maps_of(probe, lambda pixels, by=scale: pixels.float() / by, folder=tmp_path)
        trainer_of(callback).test(Learner(), loader(), verbose=False)
    assert len(list((tmp_path / "analysis").glob("maps-*"))) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({name: 0}, f"{name}=0 must be at least 1")
        for name in ("every_n_validations", "every_n_steps", "images", "watched", "shown")
    ]
    + [
        ({"distance": "cosin"}, "distance='cosin' is unknown; valid are lp, "),
        ({"final": "train"}, "final='train' is unknown; valid are fit, test"),
    ],
)
def test_options_that_cannot_be_are_refused(probe: ProbeSet, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        maps_of(probe, **options)


def test_the_part_that_embeds_has_to_be_named(probe: ProbeSet, tmp_path: Path):
    trainer = trainer_of(ProbeMaps(probe, PREPROCESSING, folder=tmp_path))
    with pytest.raises(ValueError, match=r"the part of Learner that makes embeddings, e\.g\."):
        trainer.fit(Learner(), loader())


def test_a_reference_without_maps_is_refused(probe: ProbeSet, tmp_path: Path):
    with pytest.raises((ValueError, FileNotFoundError), match=r"run\.json"):
        maps_of(probe, reference=str(tmp_path / "nowhere"))


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


def test_fits_that_start_alike_share_what_is_kept_of_their_start(
    probe: ProbeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = []
    make = probing_maps.make_maps
    monkeypatch.setattr(
        probing_maps, "make_maps", lambda *args, **more: made.append(1) or make(*args, **more)
    )
    agreement = []
    for run in ("first", "second"):
        callback = maps_of(
            probe, folder=tmp_path / run, initial_folder=tmp_path / "start", final="test",
            every_n_validations=None,
        )  # fmt: skip
        module, trainer = Learner(), trainer_of(callback)
        trainer.test(module, loader(), verbose=False)  # of the initial weights
        trainer.fit(module, loader(), loader())
        (metrics,) = trainer.test(module, loader(), verbose=False)
        agreement.append(metrics["map_r/initial"])
        assert len(list((tmp_path / run / "analysis").glob("maps-*"))) == 1
    assert len(list((tmp_path / "start").glob("maps-*"))) == 1
    assert len(made) == 3  # the start once, and what each of both ends with
    assert agreement[0] == agreement[1] < 0.999
