"""What a data set lists: its images, each with its class, and which classes are the test."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}


class Listed(NamedTuple):
    """One image as a data set lists it; `file` is relative to the root, with forward slashes."""

    file: str
    class_name: str


class Listing(NamedTuple):
    """A data set as it is listed.

    Attributes:
        images: in the order that the partition keeps.
        class_names: all classes in the data set's order, which labels follow in both parts.
        test_classes: those that are the test; the others develop.
    """

    images: Sequence[Listed]
    class_names: Sequence[str]
    test_classes: frozenset[str]


def in_halves(images: Sequence[Listed], class_names: Sequence[str] | None = None) -> Listing:
    """The field's zero-shot split: the first half of the classes develops, the second tests.

    With an odd number of classes the test has one more. Classes are sorted by name where the data
    set has no order of its own.
    """
    if class_names is None:
        class_names = sorted({image.class_name for image in images})
    return Listing(images, class_names, frozenset(class_names[len(class_names) // 2 :]))


def image_files(folder: Path) -> list[Path]:
    """All images below `folder`, sorted; hidden files and folders are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def listed_by_folder(root: Path, folder: Path) -> list[Listed]:
    """Images below `folder`; the folder that an image lies in is its class."""
    return [
        Listed(path.relative_to(root).as_posix(), path.parent.name) for path in image_files(folder)
    ]
