"""Cars196: 16,185 photos of 196 car models, in any of the layouts it lives on in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from lossprint.data.sources.listing import Listed, Listing, in_halves, listed_by_folder
from lossprint.data.sources.source import Counts, PublishedSource

STANFORD = "cars_annos.mat"
TRAIN, TEST = "cars_train_annos.mat", "cars_test_annos_withlabels.mat"

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
        bases = (self.root / "stanford_cars", self.root)
        for base in bases:
            if (base / STANFORD).is_file() and (base / "car_ims").is_dir():
                return _stanford(self.root, base)
        for base in bases:
            if (base / "devkit").is_dir() or (base / TRAIN).is_file():
                return _torchvision(self.root, base)
        listed, left_out = listed_by_folder(self.root, self.root)
        if {image.class_name for image in listed} <= {"cars_train", "cars_test", "car_ims", ""}:
            raise FileNotFoundError(self._missing())
        return in_halves(listed, left_out=left_out)

    def _missing(self) -> str:
        """What has to be put where, given what lies there."""
        where = _WHERE.format(root=self.root)
        if (self.root / STANFORD).is_file():
            return (
                f"{self.root / STANFORD} lists the images of car_ims/, which is not there. The "
                f"images of cars_train/ and cars_test/ are numbered otherwise: their classes are "
                f"in devkit/{TRAIN} and {TEST}. {where}"
            )
        return where


def _stanford(root: Path, base: Path) -> Listing:
    path = base / STANFORD
    prefix = base.relative_to(root)
    class_names, rows = _class_names(path), _annotations(path, ("relative_im_path", "class"))
    listed = [
        Listed((prefix / str(file)).as_posix(), _class(path, class_names, number))
        for file, number in rows
    ]
    return in_halves(listed, class_names)


def _torchvision(root: Path, base: Path) -> Listing:
    meta = _first_file(root, base / "devkit" / "cars_meta.mat", base / "cars_meta.mat")
    train = _first_file(root, base / "devkit" / TRAIN, base / TRAIN)
    test = _first_file(root, base / TEST, base / "devkit" / TEST)
    class_names = _class_names(meta)
    listed = []
    for folder, annotations in ((base / "cars_train", train), (base / "cars_test", test)):
        nested = folder / folder.name  # some copies unpack into a folder of the same name
        images = (nested if nested.is_dir() else folder).relative_to(root).as_posix()
        listed += [
            Listed(f"{images}/{file}", _class(annotations, class_names, number))
            for file, number in _annotations(annotations, ("fname", "class"))
        ]
    return in_halves(listed, class_names)


def _first_file(root: Path, *candidates: Path) -> Path:
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f"{candidates[0]} is missing. {_WHERE.format(root=root)}")


def _matrix(path: Path, name: str) -> np.ndarray:
    try:
        content = loadmat(path, squeeze_me=True)
    except Exception as error:  # the reader of damaged files raises whatever it stumbles over
        raise ValueError(f"{path} is no readable MATLAB file ({error}): copy it anew") from error
    if name not in content:
        raise ValueError(
            f"{path} holds no `{name}`, only {', '.join(content) or 'nothing'}: copy it anew"
        )
    return np.atleast_1d(content[name])


def _class_names(path: Path) -> list[str]:
    return [str(name) for name in _matrix(path, "class_names")]


def _annotations(path: Path, fields: tuple[str, str]) -> list[tuple[Any, Any]]:
    rows = _matrix(path, "annotations")
    absent = [field for field in fields if field not in (rows.dtype.names or ())]
    if absent:
        raise ValueError(
            f"{path}: its annotations have no field `{absent[0]}`, only "
            f"{', '.join(rows.dtype.names or ()) or 'none'}. The test's labels are in {TEST}"
        )
    return [(row[fields[0]], row[fields[1]]) for row in rows]


def _class(path: Path, class_names: list[str], number: Any) -> str:
    """The name of class `number`, counted from one."""
    if not str(number).isdecimal() or not 1 <= int(number) <= len(class_names):
        raise ValueError(
            f"{path} lists class {number}; there are 1 … {len(class_names)}: copy it anew"
        )
    return class_names[int(number) - 1]
