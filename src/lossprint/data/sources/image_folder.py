"""Anybody's images: class folders or a table, split by fraction, by class names or as they lie."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lossprint.data.sources.class_folders import read_class_folders
from lossprint.data.sources.image_table import read_image_table
from lossprint.data.sources.listing import Listing
from lossprint.data.sources.names import composed, lookalikes, named
from lossprint.data.sources.source import ListedSource

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ListedSource):
    """Labelled images under a folder.

    Without a table, every folder directly below `root` is a class, with all images anywhere below
    it. Folders `train`, `val`, `test` (or the like) between `root` and the classes are no classes:
    they tell the split, unless they share classes.

    The split is by class, never by image, and is told in one of four ways: the names of the test's
    classes, the table's column `split`, folders of that meaning, or a fraction. Validation's
    classes develop where there is a test, and are the test where there is none.

    Attributes:
        test_fraction: share of the classes, sorted as text, from the end, that are the test. Used
            where nothing else tells the split.
        test_classes: names of the test's classes.
        csv: a table of the images, see `read_table`: `file` (relative to `root`, or absolute and
            below it), `label`, and optionally `split`. Its path is relative to `root`, or absolute.
        columns: names of these three columns where they have others; None for `split` has that
            column not looked at.
    """

    test_fraction: float = 0.5
    test_classes: Sequence[str] | None = None
    csv: Path | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)
    contradictions_are_bad = True

    def listing(self) -> Listing:
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"no folder {self.root}: data.source.root names a folder with one folder of images "
                "per class, or with the images that data.source.csv lists"
            )
        if self.csv is None:
            found = read_class_folders(self.root)
        else:
            found = read_image_table(self.root, self.root / self.csv, self.columns)
        class_names = sorted({image.class_name for image in found.images})
        notes = [*found.notes, *_look_alike(self.root, class_names)]
        test: Collection[str]
        if self.test_classes is not None:
            if found.parts:
                raise ValueError(
                    f"both data.source.test_classes and {found.told_by} tell the split: leave out "
                    "test_classes, or the other alone with "
                    "data.source.columns={split: null}"
                )
            test = named(self.test_classes, class_names, setting="data.source.test_classes")
        elif found.parts:
            test = found.test_classes()
        else:
            test = self._last(class_names)
        if not 0 < len(set(test)) < len(class_names):
            raise ValueError(
                f"the split leaves no class for {'development' if test else 'test'}: of the "
                f"{len(class_names)} classes of {self.root} {len(set(test))} are the test; "
                "data.source.test_fraction=0.5 takes half, data.source.test_classes=[…] those named"
            )
        return Listing(found.images, class_names, frozenset(test), found.left_out, notes)

    def _last(self, class_names: list[str]) -> Sequence[str]:
        if not 0 < self.test_fraction < 1:
            raise ValueError(
                f"data.source.test_fraction={self.test_fraction} is not between 0 and 1"
            )
        count = round(len(class_names) * self.test_fraction)
        return class_names[len(class_names) - count :]


def _look_alike(root: Path, names: Sequence[str]) -> list[str]:
    """Classes whose names may be one, told; those that are one are refused."""
    first: dict[str, str] = {}
    for name in names:
        if first.setdefault(composed(name), name) != name:
            raise ValueError(
                f"the class {name!r} under {root} is there twice, {first[composed(name)]!a} and "
                f"{name!a}, which Unicode takes for the same letters: put both into one"
            )
    groups = [" and ".join(map(repr, group)) for group in lookalikes(names)]
    more = ", …" if groups[_NAMED:] else ""
    return [f"different classes: {', '.join(groups[:_NAMED])}{more}"] if groups else []
