"""One LightningDataModule for every data set: rows of an image source, seen through views."""

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from lossprint.data.augment import View, crop_and_resize
from lossprint.data.dataset import FileImages, ImageSource, RawBatch, RowBatches
from lossprint.data.index import Partition, fold_classes
from lossprint.data.sampler import ClassBalancedBatches
from lossprint.data.store import ImageStore
from lossprint.data.transforms import Preprocessing
from lossprint.streams import stream_seed


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the image source and their labels, for each part of a fold."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def of_fold(cls, partition: Partition, fold: int, folds: int) -> "Split":
        """Rows count development images first, then test images (`Partition.all_images`)."""
        training, validation = fold_classes(partition.development.num_classes, fold, folds)
        development = partition.development
        test_rows = torch.arange(len(partition.test)) + len(development)
        return cls(
            train=_as_tensors(development.rows_of(training)),
            validation=_as_tensors(development.rows_of(validation)),
            test=(test_rows, torch.from_numpy(partition.test.labels)),
        )


def _as_tensors(arrays: tuple) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])


class ImageDataModule(pl.LightningDataModule):
    """Class-balanced training batches; validation and test images in order.

    A batch reaches the module as (images float32 [B, 3, S, S], labels [B]). Crops and flips of
    training step t are drawn from (seed, t) alone, so a continued run sees what an uninterrupted
    one would.

    Args:
        images: source of all pixels.
        split: which rows train, validate and test.
        sampler: of the training rows.
        train_view, eval_view: how an image is cropped.
        preprocessing: the backbone's.
        seed: of the run.
        eval_batch_size: images at once in validation and test.
        workers: processes that decode files; used only if `images` is no store.
    """

    def __init__(
        self,
        images: ImageSource,
        split: Split,
        sampler: ClassBalancedBatches,
        *,
        train_view: View,
        eval_view: View,
        preprocessing: Preprocessing,
        seed: int,
        eval_batch_size: int = 128,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.images = images
        self.split = split
        self.sampler = sampler
        self.train_view = train_view
        self.eval_view = eval_view
        self.preprocessing = preprocessing
        self.seed = seed
        self.eval_batch_size = eval_batch_size
        self.workers = workers if isinstance(images, FileImages) else 0

    @property
    def num_classes(self) -> int:
        """Of the training classes, whose labels are 0 … num_classes − 1."""
        return int(self.split.train[1].max()) + 1

    def test_pixels(self, positions: Tensor) -> Tensor:
        """uint8 [n, 3, S, S]: the test images at these positions, as the model sees them."""
        images = self.images.images(self.split.test[0][positions])
        sizes = torch.tensor([image.shape[:2] for image in images])
        return crop_and_resize(images, self.eval_view.draw(sizes), self.eval_view.size)

    def setup(self, stage: str) -> None:
        """Move a store that fits in a quarter of the GPU's free memory there, once."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if (
            isinstance(self.images, ImageStore)
            and device.type == "cuda"
            and self.images.pixels.device != device
            and self.images.pixels.numel() < torch.cuda.mem_get_info(device)[0] // 4
        ):
            self.images = self.images.to(device)

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.split.train, self.sampler)

    def val_dataloader(self) -> DataLoader:
        return self._in_order(self.split.validation)

    def test_dataloader(self) -> DataLoader:
        return self._in_order(self.split.test)

    def _in_order(self, part: tuple[Tensor, Tensor]) -> DataLoader:
        rows = SequentialSampler(range(len(part[0])))
        return self._loader(part, BatchSampler(rows, self.eval_batch_size, drop_last=False))

    def _loader(self, part: tuple[Tensor, Tensor], sampler: torch.utils.data.Sampler) -> DataLoader:
        # The sampler yields whole batches of rows, so the loader must not batch again.
        return DataLoader(
            RowBatches(self.images, *part),
            sampler=sampler,
            batch_size=None,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )

    def on_after_batch_transfer(
        self, batch: RawBatch, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        view, generator = self.eval_view, None
        if self.trainer is not None and self.trainer.training:
            step = self.trainer.global_step
            view = self.train_view
            generator = torch.Generator().manual_seed(stream_seed(self.seed, "crops", step))
        sizes = torch.tensor([image.shape[:2] for image in batch.images])
        pixels = crop_and_resize(batch.images, view.draw(sizes, generator), view.size)
        images = self.preprocessing(pixels).contiguous(memory_format=torch.channels_last)
        return images, batch.labels
