"""Rendered cars as a classification set: a design is a class."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lossprint.data.contents import file_digests
from lossprint.data.index import ImageIndex, Partition
from lossprint.data.tables import read_table


@dataclass(frozen=True)
class RenderedCars:
    """A rendered training world; the last `test_classes` designs are the unseen ones.

    Designs are ordered by the number that ends their names. Neighbouring numbers are different
    body types, so contiguous blocks of designs (folds, the test set) hold every type.

    Attributes:
        root: folder with `images/<frame>.png` and `samples.csv`, whose column `model` names the
            design.
        test_classes: how many designs are kept for the final test.
    """

    root: Path
    test_classes: int

    def __call__(self) -> Partition:
        """Read the index.

        Raises:
            FileNotFoundError: the set is not there.
            ValueError: no column `frame` or `model`, or too few designs for the test.
        """
        root = Path(self.root)
        samples = root / "samples.csv"
        if not samples.is_file():
            raise FileNotFoundError(f"{samples} is missing: render the set first (render.py)")
        table = read_table(samples)
        for column in ("frame", "model"):
            if column not in table.columns:
                raise ValueError(
                    f"{samples} has no column `{column}`; its columns are {list(table.columns)}"
                )
        designs = sorted(table["model"].unique(), key=_number_then_name)
        if not 1 <= self.test_classes < len(designs):
            raise ValueError(
                f"test_classes={self.test_classes}, but {samples} has {len(designs)} designs: "
                f"valid are 1 … {len(designs) - 1}"
            )
        labels = table["model"].map({design: i for i, design in enumerate(designs)}).to_numpy()
        files = tuple(f"images/{frame:0>6}.png" for frame in table["frame"])
        index = ImageIndex(root, files, labels, tuple(designs), file_digests(root, files))
        edge = len(designs) - self.test_classes
        return Partition(index.subset(np.arange(edge)), index.subset(np.arange(edge, len(designs))))


def _number_then_name(design: str) -> tuple[int, str]:
    number = re.search(r"(\d+)$", design)
    return (int(number.group()) if number else -1, design)
