"""What the data sets have in common: from a listing to a partition, checked and counted."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from lossprint.data.index import ImageIndex, Partition
from lossprint.data.sources.download import download_archive
from lossprint.data.sources.listing import Listed, Listing
from lossprint.data.undecodable import undecodable_files

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ListedSource(ABC):
    """A data set of image files, split by class.

    Attributes:
        root: folder of the data set.
        on_bad_image: what to do about images that are missing or cannot be decoded. `raise`: a
            missing one is an error at once, an undecodable one when images are first decoded.
            `skip`: every image is tried once, and the bad ones are left out, counted in a warning.
        cache: folder that remembers which images were bad; None tries them again every time.

    Raises:
        ValueError: `on_bad_image` is neither.
    """

    root: Path = field(kw_only=False)
    on_bad_image: str = "raise"
    cache: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "cache", None if self.cache is None else Path(self.cache))
        if self.on_bad_image not in ("raise", "skip"):
            raise ValueError(f"on_bad_image={self.on_bad_image!r}: valid are 'raise' and 'skip'")

    @abstractmethod
    def listing(self) -> Listing:
        """Read what the data set lists.

        Raises:
            FileNotFoundError: the data set, or a part of it, is missing; says what goes where.
            ValueError: its lists cannot be understood.
        """

    def __call__(self) -> Partition:
        """Read the lists and look for the images.

        Raises:
            FileNotFoundError: the data set, or a part of it, is missing.
            ValueError: its lists cannot be understood, a class lost all its images, or a part of
                the split has no class.
        """
        listing = self.listing()
        kept = self._usable(listing.images)
        lost = {image.class_name for image in listing.images} - {image.class_name for image in kept}
        if lost:
            raise ValueError(f"no readable image of class {min(lost)!r} under {self.root}")
        parts: list[list[Listed]] = [[], []]
        for image in kept:
            parts[image.class_name in listing.test_classes].append(image)
        for part, name in zip(parts, ("development", "test"), strict=True):
            if not part:
                raise ValueError(f"the split of {self.root} leaves no class for {name}")
        return Partition(*(_index(self.root, part, listing.class_names) for part in parts))

    def _usable(self, listed: Sequence[Listed]) -> Sequence[Listed]:
        files = [image.file for image in listed]
        if self.on_bad_image == "raise":
            absent = [file for file in files if not (self.root / file).exists()]
            if absent:
                raise FileNotFoundError(
                    f"{len(absent)} of {len(listed)} listed images are missing under {self.root}, "
                    f"the first is {absent[0]}"
                )
            return listed
        bad = undecodable_files(self.root, files, self.cache)
        if bad:
            log.warning(
                "skipped %d of %d images under %s that cannot be decoded, the first is %s",
                len(bad), len(listed), self.root, min(bad),
            )  # fmt: skip
        return [image for image in listed if image.file not in bad]


class Counts(NamedTuple):
    """How many there are in (development, test)."""

    classes: tuple[int, int]
    images: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class PublishedSource(ListedSource):
    """A benchmark whose publication says how many classes and images it has.

    Attributes:
        verify: refuse a copy with other numbers.
        name: of the data set.
        published: its numbers.
    """

    verify: bool = True
    name: ClassVar[str]
    published: ClassVar[Counts]

    def __call__(self) -> Partition:
        """Read the lists, look for the images and count them.

        Raises:
            FileNotFoundError, ValueError: see `ListedSource`; or the numbers are not the
                published ones.
        """
        images = super().__call__()
        parts = (images.development, images.test)
        found = Counts((parts[0].num_classes, parts[1].num_classes), (len(parts[0]), len(parts[1])))
        if self.verify and found != self.published:
            raise ValueError(
                f"{self.name} under {self.root} is not the published one. Found (development + "
                f"test): {_counted(found)}; expected: {_counted(self.published)}. "
                "verify=false takes it as it is."
            )
        return images


@dataclass(frozen=True, kw_only=True)
class DownloadedSource(PublishedSource):
    """A benchmark that can be fetched where it is not there.

    Attributes:
        download: fetch it.
        url, md5, archive: address of its archive, its checksum, its file name.
        layout: what has to lie where, for who puts it there by hand; `{root}` stands for the root.
    """

    download: bool = True
    url: ClassVar[str]
    md5: ClassVar[str]
    archive: ClassVar[str]
    layout: ClassVar[str]

    @abstractmethod
    def find(self) -> Listing | None:
        """Read what the data set lists; None where it is not there."""

    def listing(self) -> Listing:
        found = self.find()
        if found is None and self.download:
            try:
                download_archive(self.url, self.root, name=self.archive, md5=self.md5)
            except OSError as error:
                raise self._absent(f"its download failed ({error})") from error
            found = self.find()
        if found is None:
            raise self._absent("it is not there")
        return found

    def _absent(self, reason: str) -> FileNotFoundError:
        return FileNotFoundError(
            f"no {self.name} under {self.root}: {reason}. Unpack {self.url} there, so that "
            f"{self.layout.format(root=self.root)}"
        )


def _index(root: Path, listed: Sequence[Listed], class_names: Sequence[str]) -> ImageIndex:
    present = {image.class_name for image in listed}
    names = [name for name in class_names if name in present]
    label = {name: position for position, name in enumerate(names)}
    labels = np.array([label[image.class_name] for image in listed], dtype=np.int64)
    return ImageIndex(root, tuple(image.file for image in listed), labels, tuple(names))


def _counted(counts: Counts) -> str:
    return ", ".join(
        f"{development:,} + {test:,} {what}"
        for what, (development, test) in counts._asdict().items()
    )
