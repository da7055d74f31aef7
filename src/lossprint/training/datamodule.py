"""One LightningDataModule for every data set: rows of an image source, seen through views."""

import logging
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, Sampler, TensorDataset

from lossprint.data.augment import Crops, View, crop_and_resize
from lossprint.data.dataset import FileImages, ImageSource, RawBatch, RowBatches
from lossprint.data.decoding import Interpolation
from lossprint.data.index import Partition, fold_classes
from lossprint.data.sampler import ClassBalancedBatches, ShareOfBatches
from lossprint.data.store import ImageStore
from lossprint.data.transforms import Preprocessing
from lossprint.streams import stream_seed

log = logging.getLogger(__name__)


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


def check_retrievable(split: Split) -> None:
    """Raise if a part has nothing to learn from or to retrieve; say which classes cannot be asked.

    An image is retrieved by another of its class, so a class with one image is no query.

    Raises:
        ValueError: every class of a part has one image.
    """
    for name, settings in (
        ("train", "fold=… or data.source.root=…"),
        ("validation", "fold=…, folds=… or data.source.root=…"),
        ("test", "data.source.test_classes=… or data.source.test_fraction=…"),
    ):
        counts = getattr(split, name)[1].bincount()
        single = int((counts == 1).sum())
        if single == len(counts):
            raise ValueError(
                f"each of the {single} classes of the {name} part has one image, so no image has "
                f"another of its class to be found by: add images, or choose other classes with "
                f"{settings}"
            )
        if single:
            log.info(
                "%d of the %d classes of the %s part have one image, which is no query",
                single, len(counts), name,
            )  # fmt: skip


def _as_tensors(arrays: tuple) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])


class ImageDataModule(pl.LightningDataModule):
    """Class-balanced training batches; validation and test images in order.

    A batch reaches the module as (images float32 [B, 3, S, S], labels [B]). Crops and flips of
    training step t are drawn from (seed, t) alone, so a continued run sees what an uninterrupted
    one would, and several processes together see what one would: each gets its share of every
    training batch (`ShareOfBatches`), and every n-th image of validation and test.

    Args:
        images: source of all pixels.
        split: which rows train, validate and test.
        sampler: of the training rows.
        train_view, eval_view: how an image is cropped.
        preprocessing: the backbone's.
        interpolation: by which crops are resized.
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
        interpolation: Interpolation = "bilinear",
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
        self.interpolation: Interpolation = interpolation
        self.seed = seed
        self.eval_batch_size = eval_batch_size
        self.workers = workers if isinstance(images, FileImages) else 0

    @property
    def _share(self) -> tuple[int, int]:
        """Which process this is, of how many."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    @property
    def num_classes(self) -> int:
        """Of the training classes, whose labels are 0 … num_classes − 1."""
        return int(self.split.train[1].max()) + 1

    def test_pixels(self, positions: Tensor) -> Tensor:
        """uint8 [n, 3, S, S]: the test images at these positions, as the model sees them."""
        images = self.images.images(self.split.test[0][positions])
        sizes = torch.tensor([image.shape[:2] for image in images])
        crops = self.eval_view.draw(sizes)
        return crop_and_resize(images, crops, self.eval_view.size, self.interpolation)

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
        return self._loader(self.split.train, ShareOfBatches(self.sampler, *self._share))

    def val_dataloader(self) -> DataLoader:
        return self._in_order(self.split.validation)

    def test_dataloader(self) -> DataLoader:
        return self._in_order(self.split.test)

    def _in_order(self, part: tuple[Tensor, Tensor]) -> DataLoader:
        rank, ranks = self._share
        everything = TensorDataset(part[0])
        rows: Sampler = DistributedSampler(everything, ranks, rank, shuffle=False)
        return self._loader(part, BatchSampler(rows, self.eval_batch_size, drop_last=False))

    def _loader(self, part: tuple[Tensor, Tensor], sampler: Sampler) -> DataLoader:
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
        sizes = torch.tensor([image.shape[:2] for image in batch.images])
        if self.trainer is not None and self.trainer.training:
            view, crops = self.train_view, self._training_crops(sizes, self.trainer.global_step)
        else:
            view, crops = self.eval_view, self.eval_view.draw(sizes)
        pixels = crop_and_resize(batch.images, crops, view.size, self.interpolation)
        images = self.preprocessing(pixels).contiguous(memory_format=torch.channels_last)
        if self.trainer is not None:  # Lightning converts what it transfers: pixels, not images
            images = self.trainer.precision_plugin.convert_input(images)
        return images, batch.labels

    def _training_crops(self, sizes: Tensor, step: int) -> Crops:
        """Crops of this process's images, as they are drawn in the batch of all processes."""
        rank, ranks = self._share
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "crops", step))
        crops = self.train_view.draw(sizes.repeat(ranks, 1), generator)
        mine = slice(rank * len(sizes), (rank + 1) * len(sizes))
        return Crops(crops.boxes[mine], crops.flips[mine])
