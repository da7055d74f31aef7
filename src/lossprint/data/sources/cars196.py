"""Cars196: 16,185 photos of 196 car models, in any of the layouts it lives on in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from lossprint.data.sources.listing import Listed, Listing, in_halves, listed_by_folder
from lossprint.data.sources.source import Counts, PublishedSource

_WHERE = """no Cars196 under {root}. Its original address is gone, so it cannot be downloaded from \
there; put one of these layouts under that folder:
  Stanford's:     car_ims/000001.jpg … 016185.jpg and cars_annos.mat
  torchvision's:  stanford_cars/ with cars_train/, cars_test/, devkit/ (cars_meta.mat,
                  cars_train_annos.mat) and cars_test_annos_withlabels.mat
  class folders:  one folder per car model, directly or below train/ and test/"""


@dataclass(frozen=True, kw_only=True)
class Cars196(PublishedSource):
    """Krause et al., "3D Object Representations for Fine-Grained Categorization", 2013.

    Classes 1 … 98 develop, 99 … 196 test, whatever the authors' own split: all 16,185 images.
    Copies in class folders do not tell Stanford's order of classes, so theirs is alphabetical.
    That gives the same two halves; within the first, folds hold other models.
    """

    name = "Cars196"
    published = Counts(classes=(98, 98), images=(8054, 8131))

    def listing(self) -> Listing:
        if (self.root / "cars_annos.mat").is_file():
            return _stanford(self.root)
        for base in (self.root / "stanford_cars", self.root):
            if (base / "devkit").is_dir():
                return _torchvision(self.root, base)
        listed = listed_by_folder(self.root, self.root)
        if not listed:
            raise FileNotFoundError(_WHERE.format(root=self.root))
        return in_halves(listed)


def _stanford(root: Path) -> Listing:
    content = loadmat(root / "cars_annos.mat", squeeze_me=True)
    class_names = [str(name) for name in np.atleast_1d(content["class_names"])]
    listed = [
        Listed(str(row["relative_im_path"]), class_names[int(row["class"]) - 1])
        for row in np.atleast_1d(content["annotations"])
    ]
    return in_halves(listed, class_names)


def _torchvision(root: Path, base: Path) -> Listing:
    meta = _first_file(root, base / "devkit" / "cars_meta.mat")
    train = _first_file(root, base / "devkit" / "cars_train_annos.mat")
    test = _first_file(
        root,
        base / "cars_test_annos_withlabels.mat",
        base / "devkit" / "cars_test_annos_withlabels.mat",
    )
    class_names = [
        str(name) for name in np.atleast_1d(loadmat(meta, squeeze_me=True)["class_names"])
    ]
    listed = []
    for folder, annotations in ((base / "cars_train", train), (base / "cars_test", test)):
        nested = folder / folder.name  # some copies unpack into a folder of the same name
        images = (nested if nested.is_dir() else folder).relative_to(root).as_posix()
        listed += [
            Listed(f"{images}/{row['fname']}", class_names[int(row["class"]) - 1])
            for row in np.atleast_1d(loadmat(annotations, squeeze_me=True)["annotations"])
        ]
    return in_halves(listed, class_names)


def _first_file(root: Path, *candidates: Path) -> Path:
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"{candidates[0]} is missing. {_WHERE.format(root=root)}")
