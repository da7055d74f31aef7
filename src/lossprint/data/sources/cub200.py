"""CUB-200-2011: 11,788 photos of 200 bird species."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.sources.listing import (
    Listed,
    Listing,
    in_halves,
    listed_by_folder,
    text_rows,
)
from lossprint.data.sources.source import Counts, DownloadedSource

FOLDER = "CUB_200_2011"
LISTS = ("images.txt", "image_class_labels.txt", "classes.txt")


@dataclass(frozen=True, kw_only=True)
class CUB200(DownloadedSource):
    """Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011.

    Species 1 … 100 develop, 101 … 200 test. Read from the archive's own lists, or from class
    folders (`001.Black_footed_Albatross`, …), in `root` or in `root/CUB_200_2011`.
    """

    name = "CUB-200-2011"
    published = Counts(classes=(100, 100), images=(5864, 5924))
    url = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"
    md5 = "97eceeb196236b17998738112f37df78"
    archive = f"{FOLDER}.tgz"
    layout = (
        f"{{root}}/{FOLDER} has images/, {LISTS[0]}, {LISTS[1]} and {LISTS[2]}; or put its 200 "
        "class folders (001.Black_footed_Albatross, …) there"
    )

    def find(self) -> Listing | None:
        for base in (self.root / FOLDER, self.root):
            if all((base / name).is_file() for name in LISTS):
                return _lists(self.root, base)
        for base in (self.root / FOLDER / "images", self.root / "images", self.root):
            if not base.is_dir():
                continue
            listed, left_out = listed_by_folder(self.root, base)
            if listed:
                return in_halves(listed, left_out=left_out)
        return None


def _lists(root: Path, base: Path) -> Listing:
    paths, labels, classes = (
        {number: value for _, (number, value) in text_rows(base / name, "<number> <value>")}
        for name in LISTS
    )
    images = (base / "images").relative_to(root).as_posix()
    for number, path in paths.items():
        if labels.get(number) not in classes:
            raise ValueError(
                f"{base / LISTS[1]} gives image {number} ({path}) the class "
                f"{labels.get(number)!r}, which {base / LISTS[2]} does not list: unpack the "
                "archive anew"
            )
    listed = [Listed(f"{images}/{paths[i]}", classes[labels[i]]) for i in paths]
    return in_halves(listed, list(classes.values()))
