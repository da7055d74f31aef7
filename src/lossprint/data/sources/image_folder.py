"""Anybody's images: class folders or a CSV, split by fraction, by class names or by the CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from lossprint.data.sources.listing import Listed, Listing, image_files
from lossprint.data.sources.source import ListedSource

_PARTS = {"train": False, "development": False, "test": True}


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ListedSource):
    """Labelled images under a folder.

    Without a CSV, every folder directly below `root` is a class, with all images anywhere below
    it. The split is by class, never by image, and is told in one of three ways: the CSV's column
    `split`, the names of the test's classes, or a fraction.

    Attributes:
        test_fraction: share of the sorted classes, from the end, that are the test. Used where
            neither of the two below tells the split.
        test_classes: names of the test's classes.
        csv: a table with the columns `file` (relative to `root`), `label`, and optionally `split`
            (`train` or `test`). Its path is relative to `root`, or absolute.
    """

    test_fraction: float = 0.5
    test_classes: Sequence[str] | None = None
    csv: Path | None = None

    def listing(self) -> Listing:
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"no folder {self.root}: data.source.root names a folder with one folder of images "
                "per class, or with the images that data.source.csv lists"
            )
        split: dict[str, bool] | None = None
        if self.csv is None:
            listed = _class_folders(self.root)
        else:
            listed, split = _table(self.root, self.root / self.csv)
        class_names = sorted({image.class_name for image in listed})
        if split is None:
            test = self._test_classes(class_names)
        elif self.test_classes is not None:
            raise ValueError(
                f"both test_classes and the column `split` of {self.csv} tell the split"
            )
        else:
            test = [name for name, is_test in split.items() if is_test]
        return Listing(listed, class_names, frozenset(test))

    def _test_classes(self, class_names: list[str]) -> Sequence[str]:
        if self.test_classes is not None:
            unknown = sorted(set(self.test_classes) - set(class_names))
            if unknown:
                raise ValueError(
                    f"test_classes names {unknown[0]!r}, which is no class under {self.root}; "
                    f"the classes are {', '.join(class_names[:20])}"
                    + (", …" if len(class_names) > 20 else "")
                )
            return self.test_classes
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction={self.test_fraction} is not between 0 and 1")
        count = round(len(class_names) * self.test_fraction)
        return class_names[len(class_names) - count :]


def _class_folders(root: Path) -> list[Listed]:
    listed = []
    for path in image_files(root):
        relative = path.relative_to(root)
        if len(relative.parts) > 1:
            listed.append(Listed(relative.as_posix(), relative.parts[0]))
    if not listed:
        raise FileNotFoundError(f"no images in folders under {root}: expected {root}/<class>/*.jpg")
    return listed


def _table(root: Path, path: Path) -> tuple[list[Listed], dict[str, bool] | None]:
    if not path.is_file():
        raise FileNotFoundError(f"no CSV at {path}")
    table = pd.read_csv(path, dtype=str)
    for column in ("file", "label"):
        if column not in table.columns:
            raise ValueError(
                f"{path} has no column `{column}`; its columns are {list(table.columns)}"
            )
        if table[column].isna().any():
            raise ValueError(f"{path}: row {int(table[column].isna().argmax())} has no {column}")
    if not len(table):
        raise ValueError(f"{path} lists no image")
    outside = [
        file
        for file in table["file"]
        if Path(file).is_absolute() or ".." in PurePosixPath(file).parts
    ]
    if outside:
        raise ValueError(f"{path} lists {outside[0]!r}, which lies outside of {root}")
    listed = [
        Listed(file, label) for file, label in zip(table["file"], table["label"], strict=True)
    ]
    if "split" not in table.columns:
        return listed, None
    split: dict[str, bool] = {}
    for label, part in zip(table["label"], table["split"], strict=True):
        if part not in _PARTS:
            raise ValueError(f"{path}: split {part!r} is not one of {', '.join(_PARTS)}")
        if split.setdefault(label, _PARTS[part]) != _PARTS[part]:
            raise ValueError(f"{path} puts class {label!r} into both parts; classes are not shared")
    return listed, split
