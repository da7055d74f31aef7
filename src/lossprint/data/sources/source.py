"""What the data sets have in common: from a listing to a partition, checked and counted."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from lossprint.data.contents import file_digests
from lossprint.data.index import ImageIndex, Partition
from lossprint.data.sources.download import download_archive
from lossprint.data.sources.listing import Listed, Listing, counted
from lossprint.data.undecodable import undecodable_files
from lossprint.files import alone

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ListedSource(ABC):
    """A data set of image files, split by class.

    Attributes:
        root: folder of the data set.
        on_bad_image: what to do about images that are missing or cannot be decoded. `raise`: a
            missing one is an error at once, an undecodable one when images are first decoded.
            `skip`: every image is tried once, and the bad ones are left out, counted in a warning.
        cache: folder that remembers files' hashes and which images were bad; None reads and tries
            them again every time.

    Raises:
        ValueError: `on_bad_image` is neither.
    """

    root: Path = field(kw_only=False)
    on_bad_image: str = "raise"
    cache: Path | None = None
    contradictions_are_bad: ClassVar[bool] = False
    """Whether a picture in two classes is a mistake; a published set is taken as published."""

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
        """Read the lists, look for the images, and say in one line what there is.

        Raises:
            FileNotFoundError: the data set, or a part of it, is missing.
            ValueError: its lists cannot be understood, a picture is in two classes, a class lost
                all its images, or a part of the split has no class.
        """
        listing = self.listing()
        files = [image.file for image in listing.images]
        digests = dict(zip(files, file_digests(self.root, files, self.cache), strict=True))
        bad = self._bad(listing.images, digests)
        kept = [image for image in listing.images if image.file not in bad]
        lost = {image.class_name for image in listing.images} - {image.class_name for image in kept}
        if lost:
            raise ValueError(
                f"no readable image of class {min(lost)!r} under {self.root}: put some there, or "
                "leave the class out of what is listed"
            )
        parts: list[list[Listed]] = [[], []]
        for image in kept:
            parts[image.class_name in listing.test_classes].append(image)
        for part, name in zip(parts, ("development", "test"), strict=True):
            if not part:
                raise ValueError(
                    f"the split of {self.root} leaves no class for {name}: it has "
                    f"{len(listing.class_names)} classes, of which {len(listing.test_classes)} "
                    "are the test"
                )
        left_out = Counter(listing.left_out) + Counter(bad.values())
        log.info(_inventory(kept, parts, left_out, listing.notes, digests))
        return Partition(*(_index(self.root, part, listing.class_names, digests) for part in parts))

    def _bad(self, listed: Sequence[Listed], digests: Mapping[str, str | None]) -> dict[str, str]:
        """Files that cannot be used, and why; empty unless they are to be skipped."""
        contradictory = _contradictory(listed, digests) if self.contradictions_are_bad else {}
        if self.on_bad_image == "raise":
            absent = [file for file, digest in digests.items() if digest is None]
            if absent:
                raise FileNotFoundError(
                    f"{len(absent)} of {len(listed)} listed images are missing under {self.root}, "
                    f"the first is {absent[0]}. Put them there, or data.source.on_bad_image=skip "
                    "leaves them out"
                )
            if contradictory:
                first, other = next(iter(contradictory.values()))
                raise ValueError(
                    f"{len(contradictory)} images under {self.root} are in two classes with the "
                    f"same bytes, the first are {first.file} ({first.class_name}) and {other.file} "
                    f"({other.class_name}). Remove the wrong ones, or "
                    "data.source.on_bad_image=skip leaves out both"
                )
            return {}
        undecodable = undecodable_files(self.root, list(digests), self.cache, [*digests.values()])
        if undecodable:
            log.warning(
                "skipped %d of %d images under %s that cannot be decoded, the first is %s",
                len(undecodable), len(listed), self.root, min(undecodable),
            )  # fmt: skip
        return dict.fromkeys(contradictory, "in two classes") | dict.fromkeys(
            sorted(undecodable), "undecodable"
        )


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
                with alone(self.root, f"downloading {self.name}", name=".download"):
                    found = self.find()  # another process may have fetched it meanwhile
                    if found is None:
                        download_archive(self.url, self.root, name=self.archive, md5=self.md5)
                        found = self.find()
            except OSError as error:
                raise self._absent(f"its download failed ({error})") from error
        if found is None:
            raise self._absent("it is not there")
        return found

    def _absent(self, reason: str) -> FileNotFoundError:
        return FileNotFoundError(
            f"no {self.name} under {self.root}: {reason}. Unpack {self.url} there, so that "
            f"{self.layout.format(root=self.root)}"
        )


def _contradictory(
    listed: Sequence[Listed], digests: Mapping[str, str | None]
) -> dict[str, tuple[Listed, ...]]:
    """Files whose bytes are in more than one class; for each, an image of two of the classes."""
    by_digest: dict[str, dict[str, Listed]] = {}
    for image in listed:
        digest = digests[image.file]
        if digest is not None:
            by_digest.setdefault(digest, {}).setdefault(image.class_name, image)
    shared = {
        digest: tuple(classes.values())[:2]
        for digest, classes in by_digest.items()
        if len(classes) > 1
    }
    return {
        image.file: shared[digest]
        for image in listed
        if (digest := digests[image.file]) is not None and digest in shared
    }


def _inventory(
    kept: Sequence[Listed],
    parts: Sequence[Sequence[Listed]],
    left_out: Mapping[str, int],
    notes: Sequence[str],
    digests: Mapping[str, str | None],
) -> str:
    """`12,004 images, 196 classes (98 development, 98 test); left out: 28 files (.heic 28)`."""
    development, test = (len({image.class_name for image in part}) for part in parts)
    said = [
        f"{len(kept):,} images, {development + test:,} classes ({development:,} development, "
        f"{test:,} test)"
    ]
    twice = len(kept) - len({digests[image.file] for image in kept})
    if twice:
        said.append(f"{twice:,} of the images are copies of another")
    if left_out:
        said.append(f"left out: {counted(left_out)}")
    return "; ".join([*said, *notes])


def _index(
    root: Path,
    listed: Sequence[Listed],
    class_names: Sequence[str],
    digests: Mapping[str, str | None],
) -> ImageIndex:
    present = {image.class_name for image in listed}
    names = [name for name in class_names if name in present]
    label = {name: position for position, name in enumerate(names)}
    labels = np.array([label[image.class_name] for image in listed], dtype=np.int64)
    files = tuple(image.file for image in listed)
    return ImageIndex(root, files, labels, tuple(names), tuple(digests[file] for file in files))


def _counted(counts: Counts) -> str:
    return ", ".join(
        f"{development:,} + {test:,} {what}"
        for what, (development, test) in counts._asdict().items()
    )
