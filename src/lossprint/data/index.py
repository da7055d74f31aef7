"""Which images there are and which class each shows; class-disjoint splits and folds of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lossprint.data.contents import file_digests


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """A list of labelled image files, without their pixels.

    Attributes:
        root: folder that `files` are relative to.
        files: N paths relative to `root`, with forward slashes.
        labels: [N] int64, every value in 0 … C−1 and each of them used at least once.
        class_names: C names; `class_names[label]` is the class of an image.
        digests: N hashes of the files' bytes; None has them read when they are needed.

    Raises:
        ValueError: labels are not as described.
    """

    root: Path
    files: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    digests: tuple[str | None, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "files", tuple(self.files))
        object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.int64))
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.labels.shape != (len(self.files),):
            raise ValueError(f"{len(self.files)} files but labels of shape {self.labels.shape}")
        present = np.unique(self.labels)
        if not np.array_equal(present, np.arange(len(self.class_names))):
            raise ValueError(
                f"labels must be exactly 0 … {len(self.class_names) - 1}, one per class name; "
                f"found {len(present)} distinct labels from {present[:1]} to {present[-1:]}"
            )

    def __len__(self) -> int:
        return len(self.files)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def paths(self) -> list[Path]:
        return [self.root / file for file in self.files]

    def rows_of(self, classes: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the images of `classes`, and their labels 0 … len(classes)−1 in that order."""
        position = np.full(self.num_classes, -1, dtype=np.int64)
        position[np.asarray(classes)] = np.arange(len(classes))
        rows = np.flatnonzero(position[self.labels] >= 0)
        return rows, position[self.labels[rows]]

    def subset(self, classes: Sequence[int] | np.ndarray) -> "ImageIndex":
        """Only the images of `classes`, relabelled 0 … len(classes)−1 in the order given."""
        rows, labels = self.rows_of(classes)
        return ImageIndex(
            self.root,
            tuple(self.files[row] for row in rows),
            labels,
            tuple(self.class_names[int(label)] for label in classes),
            None if self.digests is None else tuple(self.digests[row] for row in rows),
        )

    def fingerprint(self) -> str:
        """Sixteen hex digits over names, classes and files' bytes; not over where the root lies.

        Raises:
            FileNotFoundError: an image is not there.
        """
        digests = file_digests(self.root, self.files) if self.digests is None else self.digests
        whole = hashlib.sha256()
        for file, label, digest in zip(self.files, self.labels.tolist(), digests, strict=True):
            if digest is None:
                raise FileNotFoundError(f"image {self.root / file} is missing")
            whole.update(f"{file}\0{self.class_names[label]}\0{digest}\n".encode())
        return whole.hexdigest()[:16]


@dataclass(frozen=True)
class Partition:
    """A data set in the field's zero-shot form: no class of `test` is in `development`."""

    development: ImageIndex
    test: ImageIndex

    def __post_init__(self) -> None:
        shared = set(self.development.class_names) & set(self.test.class_names)
        if shared:
            raise ValueError(f"classes in both development and test: {sorted(shared)[:5]}")

    @property
    def all_images(self) -> ImageIndex:
        """Development images, then test images, as one index: what a store holds."""
        if self.development.root != self.test.root:
            raise ValueError(
                f"development images lie in {self.development.root}, test images in "
                f"{self.test.root}; one root must hold both"
            )
        return ImageIndex(
            self.development.root,
            self.development.files + self.test.files,
            np.concatenate(
                [self.development.labels, self.test.labels + self.development.num_classes]
            ),
            self.development.class_names + self.test.class_names,
            None
            if self.development.digests is None or self.test.digests is None
            else self.development.digests + self.test.digests,
        )

    def fingerprint(self) -> str:
        both = self.development.fingerprint() + self.test.fingerprint()
        return hashlib.sha256(both.encode()).hexdigest()[:16]


def validation_classes(num_classes: int, fold: int, folds: int = 4) -> np.ndarray:
    """The contiguous block of development classes that fold `fold` validates on.

    Block k is ⌊kC/folds⌋ … ⌊(k+1)C/folds⌋ − 1, which gives the starts 0, 24, 49, 73 on the 98
    classes of Cars196 (Musgrave et al., "A Metric Learning Reality Check", ECCV 2020).
    """
    if not 0 <= fold < folds:
        raise ValueError(f"fold={fold} is not one of 0 … {folds - 1}")
    if num_classes < folds:
        raise ValueError(
            f"{num_classes} development classes cannot make {folds} folds, of which each validates "
            f"on one at least. Give it more classes (in the test there may be fewer: "
            f"data.source.test_fraction=…, or …test_classes=…) or "
            + (f"folds={num_classes}" if num_classes > 1 else "another data.source.root")
        )
    start, stop = (num_classes * edge // folds for edge in (fold, fold + 1))
    return np.arange(start, stop)


def fold_classes(num_classes: int, fold: int, folds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation classes of one fold: disjoint, together all of them."""
    validation = validation_classes(num_classes, fold, folds)
    return np.setdiff1d(np.arange(num_classes), validation), validation
