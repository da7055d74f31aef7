"""What a LightningModule of one's own looks at while it trains, and what it clusters by.

python examples/own_lightning_module.py
"""

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lossprint import ProbeMaps, ProbeProperties, ProbeSet


class ColourClassifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        features = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()]
        self.backbone = nn.Sequential(*features, nn.Linear(128, 16))
        self.head = nn.Linear(16, 3)

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return nn.functional.cross_entropy(self.head(self.backbone(images).relu()), labels)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def main(folder: str = "outputs/own") -> pl.Trainer:
    pl.seed_everything(0)
    colour, place = torch.randint(3, (96,)), torch.randint(2, (96,))
    images = torch.rand(96, 3, 24, 24) * 0.5
    for image, channel, half in zip(images, colour, place, strict=True):
        image[channel, 6:18, 12 * half : 12 * half + 12] = 1.0  # a coloured square, left or right
    probe = ProbeSet.from_arrays(images, {"colour": colour, "place": place})
    look = {
        "preprocessing": lambda pixels: pixels.float() / 255,
        "embedder": lambda module: module.backbone,
        "every_n_steps": 10,
    }
    trainer = pl.Trainer(
        max_epochs=6,
        callbacks=[ProbeMaps(probe, **look), ProbeProperties(probe, **look)],
        logger=CSVLogger(folder),
        accelerator="cpu",
    )
    trainer.fit(ColourClassifier(), DataLoader(TensorDataset(images, colour), batch_size=16))
    return trainer


if __name__ == "__main__":
    print(f"maps and curves: {main().log_dir}")
