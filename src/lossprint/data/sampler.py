"""Class-balanced batches: P classes × K images of each."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from lossprint.streams import stream_seed


class ClassBalancedBatches(Sampler[list[int]]):
    """Batches of P different classes with K images each, classes contiguous inside a batch.

    Classes are dealt from shuffled decks, so that over an epoch each is drawn about equally often
    and never twice in one batch. A class's images are dealt from a deck of its own that lasts the
    epoch; a class with fewer than K images repeats some.

    Epoch e of seed s is the same batches whatever came before it: every epoch starts a generator
    of its own. This is what lets an interrupted run continue exactly.

    Args:
        labels: [N] class of each image.
        classes_per_batch: P.
        samples_per_class: K.
        batches: how many batches an epoch has; None for as many as fit N images, at least one.
        seed: of the run.

    Raises:
        ValueError: P or K below one, or fewer classes than P.
    """

    def __init__(
        self,
        labels: Sequence[int] | Tensor,
        *,
        classes_per_batch: int = 8,
        samples_per_class: int = 4,
        batches: int | None = None,
        seed: int,
    ) -> None:
        labels = torch.as_tensor(labels)
        self.rows = [torch.nonzero(labels == c).flatten() for c in labels.unique()]
        self.classes_per_batch = classes_per_batch
        self.samples_per_class = samples_per_class
        self.seed = seed
        self.epoch = 0
        if classes_per_batch < 1 or samples_per_class < 1:
            raise ValueError(
                f"classes_per_batch={classes_per_batch} and samples_per_class={samples_per_class} "
                "must be at least 1"
            )
        if len(self.rows) < classes_per_batch:
            raise ValueError(
                f"classes_per_batch={classes_per_batch}, but there are only {len(self.rows)} "
                "training classes"
            )
        batch_size = classes_per_batch * samples_per_class
        self.batches = max(1, len(labels) // batch_size) if batches is None else batches
        if self.batches < 1:
            raise ValueError(f"batches={batches} must be at least 1")

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "batches", self.epoch))
        classes: list[int] = []
        decks: list[list[int]] = [[] for _ in self.rows]
        every_class = torch.arange(len(self.rows))
        for _ in range(self.batches):
            batch = []
            for label in _deal(classes, every_class, self.classes_per_batch, generator):
                batch += _deal(decks[label], self.rows[label], self.samples_per_class, generator)
            yield batch


class ShareOfBatches(Sampler[list[int]]):
    """One process's part of the batches that several processes train on together.

    Process r of n gets the r-th n-th of each batch, in the batch's order: the parts of all
    processes one behind the other are the batch.

    Args:
        batches: of all processes, the same in each of them.
        rank: r, counted from 0.
        ranks: n.

    Raises:
        ValueError: a batch that n processes cannot share equally.
    """

    def __init__(self, batches: ClassBalancedBatches, rank: int, ranks: int) -> None:
        check_shares(batches.classes_per_batch, batches.samples_per_class, ranks)
        self.batches = batches
        self.rank = rank
        self.ranks = ranks

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            size = len(batch) // self.ranks
            yield batch[self.rank * size : (self.rank + 1) * size]


def check_shares(classes_per_batch: int, samples_per_class: int, ranks: int) -> None:
    """Raise unless so many processes can share a batch of P classes × K samples equally.

    Unequal shares would give their images unequal weights in the averaged gradient.
    """
    if classes_per_batch * samples_per_class % ranks:
        raise ValueError(
            f"a batch of {classes_per_batch} classes × {samples_per_class} samples cannot be "
            f"shared equally by {ranks} processes; choose sampler.classes_per_batch or "
            f"sampler.samples_per_class so that {ranks} divides their product"
        )


def _deal(deck: list[int], items: Tensor, count: int, generator: torch.Generator) -> list[int]:
    """Take `count` off the deck, refilled with shuffled `items` when it runs short.

    What is left in the deck is dealt first and comes last in the refill, so `count` dealt cards
    differ as long as there are that many items.
    """
    while len(deck) < count:
        fresh = items[torch.randperm(len(items), generator=generator)].tolist()
        left = set(deck)
        deck += [item for item in fresh if item not in left]
        deck += [item for item in fresh if item in left]
    dealt = deck[:count]
    del deck[:count]
    return dealt
