"""From a data set's own lists to a partition: labels from zero, images checked and counted."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.progress import track

from lossprint.data.index import ImageIndex, Partition
from lossprint.files import whole_file

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
_CHECKED_SIDE = 64  # a JPEG is decoded at a fraction of its size to find out whether it is whole

log = logging.getLogger(__name__)


class Listed(NamedTuple):
    """One image as a data set lists it; `file` is relative to the root, with forward slashes."""

    file: str
    class_name: str


class Counts(NamedTuple):
    """How many there are in (development, test)."""

    classes: tuple[int, int]
    images: tuple[int, int]


@dataclass(frozen=True)
class BadImages:
    """What to do about images that are missing or cannot be decoded.

    Attributes:
        action: `raise`: a missing one is an error at once, an undecodable one when it is decoded.
            `skip`: every image is tried once, and the bad ones are left out, counted in a warning.
        cache: folder that remembers which were bad, so that a set is tried only once; None tries
            again every time.
    """

    action: str = "raise"
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.action not in ("raise", "skip"):
            raise ValueError(f"on_bad_image={self.action!r}: valid are 'raise' and 'skip'")


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


def halves(
    root: Path, listed: Sequence[Listed], class_names: Sequence[str], bad_images: BadImages
) -> Partition:
    """The field's zero-shot split: the first half of the classes develops, the second tests.

    With an odd number of classes the test has one more.
    """
    development = set(class_names[: len(class_names) // 2])
    return partition(
        root, listed, class_names, lambda image: image.class_name not in development, bad_images
    )


def partition(
    root: Path,
    listed: Sequence[Listed],
    class_names: Sequence[str],
    is_test: Callable[[Listed], bool],
    bad_images: BadImages,
) -> Partition:
    """Split what a data set lists.

    Args:
        root: folder that files are relative to.
        listed: every image with its class, in the order that the partition keeps.
        class_names: all classes in the data set's order, which labels follow in both parts.
        is_test: of an image; the same for all images of a class.
        bad_images: see there.

    Raises:
        FileNotFoundError: images are missing; the first is named.
        ValueError: a part has no class, or a class lost all its images.
    """
    kept = _without_bad(root, listed, bad_images)
    lost = {image.class_name for image in listed} - {image.class_name for image in kept}
    if lost:
        raise ValueError(f"no readable image of class {sorted(lost)[0]!r} under {root}")
    parts: list[list[Listed]] = [[], []]
    for image in kept:
        parts[is_test(image)].append(image)
    for part, name in zip(parts, ("development", "test"), strict=True):
        if not part:
            raise ValueError(f"the split of {root} leaves no class for {name}")
    return Partition(*(_index(root, part, class_names) for part in parts))


def check_counts(name: str, root: Path, found: Partition, expected: Counts) -> None:
    """Compare a data set with its publication.

    Raises:
        ValueError: classes or images are missing or too many.
    """
    parts = (found.development, found.test)
    counts = Counts((parts[0].num_classes, parts[1].num_classes), (len(parts[0]), len(parts[1])))
    if counts != expected:
        raise ValueError(
            f"{name} under {root} is not the published one. Found (development + test): "
            f"{_sum(counts.classes)} classes, {_sum(counts.images)} images; expected: "
            f"{_sum(expected.classes)} classes, {_sum(expected.images)} images. "
            "verify=false takes it as it is."
        )


def _sum(parts: tuple[int, int]) -> str:
    return f"{parts[0]:,} + {parts[1]:,}"


def _index(root: Path, listed: Sequence[Listed], class_names: Sequence[str]) -> ImageIndex:
    present = {image.class_name for image in listed}
    names = [name for name in class_names if name in present]
    label = {name: position for position, name in enumerate(names)}
    labels = np.array([label[image.class_name] for image in listed], dtype=np.int64)
    return ImageIndex(root, tuple(image.file for image in listed), labels, tuple(names))


def _without_bad(root: Path, listed: Sequence[Listed], bad_images: BadImages) -> list[Listed]:
    sizes = [_size(root / image.file) for image in listed]
    if bad_images.action == "raise":
        absent = [image.file for image, size in zip(listed, sizes, strict=True) if size is None]
        if absent:
            raise FileNotFoundError(
                f"{len(absent)} of {len(listed)} listed images are missing under {root}, "
                f"the first is {absent[0]}"
            )
        return list(listed)
    unreadable = _unreadable(root, listed, sizes, bad_images.cache)
    if unreadable:
        log.warning(
            "skipped %d of %d images under %s that cannot be decoded, the first is %s",
            len(unreadable), len(listed), root, min(unreadable),
        )  # fmt: skip
    return [image for image in listed if image.file not in unreadable]


def _unreadable(
    root: Path, listed: Sequence[Listed], sizes: Sequence[int | None], cache: Path | None
) -> set[str]:
    names_and_sizes = json.dumps([[image.file for image in listed], list(sizes)])
    key = hashlib.sha256(names_and_sizes.encode()).hexdigest()[:16]
    known = None if cache is None else cache / f"unreadable-{key}.json"
    if known is not None and known.is_file():
        return set(json.loads(known.read_text()))
    paths = [root / image.file for image in listed]
    with ThreadPoolExecutor() as pool:
        decoded = track(
            pool.map(_decodes, paths), "trying images", total=len(paths), transient=True
        )
        unreadable = {image.file for image, good in zip(listed, decoded, strict=True) if not good}
    if known is not None:
        with whole_file(known) as temporary:
            temporary.write_text(json.dumps(sorted(unreadable)))
    return unreadable


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (_CHECKED_SIDE, _CHECKED_SIDE))
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
