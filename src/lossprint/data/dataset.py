"""Batches of rows, with their pixels or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lossprint.data.decoding import Interpolation, read_image
from lossprint.data.index import ImageIndex


class RawBatch(NamedTuple):
    """A batch before its view is taken.

    Attributes:
        images: N uint8 tensors [H, W, 3] of any sizes.
        labels: [N] int64.
    """

    images: list[Tensor]
    labels: Tensor


class ImageSource(Protocol):
    """Where pixels come from: the memory-mapped store, or the files themselves."""

    def images(self, rows: Sequence[int] | Tensor) -> list[Tensor]: ...


@dataclass(frozen=True)
class FileImages:
    """Decodes the files of an index at each access: for sets too large to store."""

    index: ImageIndex
    short_side: int | None
    interpolation: Interpolation = "bilinear"

    def images(self, rows: Sequence[int] | Tensor) -> list[Tensor]:
        paths = self.index.paths()
        return [
            torch.from_numpy(
                read_image(paths[int(row)], self.short_side, self.interpolation).copy()
            )
            for row in rows
        ]


class RowBatches(Dataset[RawBatch]):
    """Maps a list of rows to a batch; a batch sampler gives the rows.

    Args:
        source: images of the whole data set.
        rows: [N] which rows of `source` this part of the data set holds.
        labels: [N] their labels.
    """

    def __init__(self, source: ImageSource, rows: Tensor, labels: Tensor) -> None:
        self.source = source
        self.rows = rows
        self.labels = labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: list[int]) -> RawBatch:
        return RawBatch(self.source.images(self.rows[rows]), self.labels[rows])
