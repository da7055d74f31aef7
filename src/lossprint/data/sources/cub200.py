"""CUB-200-2011: 11,788 photos of 200 bird species."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.index import Partition
from lossprint.data.sources.download import download_archive
from lossprint.data.sources.listing import (
    BadImages,
    Counts,
    Listed,
    check_counts,
    halves,
    listed_by_folder,
)

PUBLISHED = Counts(classes=(100, 100), images=(5864, 5924))
URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
MD5 = "97eceeb196236b17998738112f37df78"
FOLDER = "CUB_200_2011"


@dataclass(frozen=True)
class CUB200:
    """Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011.

    Species 1 … 100 develop, 101 … 200 test. Read from the archive's own lists, or from class
    folders (`001.Black_footed_Albatross`, …), in `root` or in `root/CUB_200_2011`.

    Attributes:
        root: folder of the data set.
        download: fetch the 1.1 GB archive if nothing is there.
        verify: refuse a copy with other than the published numbers of classes and images.
        on_bad_image, cache: see `BadImages`.
    """

    root: Path
    download: bool = True
    verify: bool = True
    on_bad_image: str = "raise"
    cache: Path | None = None

    def __call__(self) -> Partition:
        """Read the lists.

        Raises:
            FileNotFoundError: the data set, or a part of it, is missing; says what goes where.
            ValueError: the numbers are not the published ones.
        """
        root = Path(self.root)
        bad_images = BadImages(self.on_bad_image, None if self.cache is None else Path(self.cache))
        listed, class_names = self._read(root)
        images = halves(root, listed, class_names, bad_images)
        if self.verify:
            check_counts("CUB-200-2011", root, images, PUBLISHED)
        return images

    def _read(self, root: Path) -> tuple[list[Listed], list[str]]:
        found = _lists(root) or _class_folders(root)
        if found is None and self.download:
            try:
                download_archive(URL, root, name=f"{FOLDER}.tgz", md5=MD5)
            except OSError as error:
                raise FileNotFoundError(_where(root, f"its download failed ({error})")) from error
            found = _lists(root)
        if found is None:
            raise FileNotFoundError(_where(root, "it is not there"))
        return found


def _where(root: Path, reason: str) -> str:
    return (
        f"no CUB-200-2011 under {root}: {reason}. Unpack {URL} there, so that {root / FOLDER} has "
        "images/, images.txt, image_class_labels.txt and classes.txt; or put its 200 class folders "
        "(001.Black_footed_Albatross, …) there"
    )


def _lists(root: Path) -> tuple[list[Listed], list[str]] | None:
    for base in (root / FOLDER, root):
        names = ("images.txt", "image_class_labels.txt", "classes.txt")
        if all((base / name).is_file() for name in names):
            paths, labels, classes = (_table(base / name) for name in names)
            images = (base / "images").relative_to(root).as_posix()
            listed = [Listed(f"{images}/{paths[i]}", classes[labels[i]]) for i in paths]
            return listed, list(classes.values())
    return None


def _table(path: Path) -> dict[str, str]:
    """Lines `<number> <value>`, in the file's order."""
    lines = path.read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


def _class_folders(root: Path) -> tuple[list[Listed], list[str]] | None:
    for base in (root / FOLDER / "images", root / "images", root):
        if base.is_dir() and (listed := listed_by_folder(root, base)):
            return listed, sorted({image.class_name for image in listed})
    return None
