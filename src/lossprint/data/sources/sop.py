"""Stanford Online Products: 120,053 photos of 22,634 products."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.sources.listing import Listed, Listing, text_rows
from lossprint.data.sources.source import Counts, DownloadedSource

FOLDER = "Stanford_Online_Products"
TRAIN, TEST = "Ebay_train.txt", "Ebay_test.txt"


@dataclass(frozen=True, kw_only=True)
class StanfordOnlineProducts(DownloadedSource):
    """Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", 2016.

    `Ebay_train.txt` develops, `Ebay_test.txt` tests, in `root` or in
    `root/Stanford_Online_Products`.
    """

    name = "Stanford Online Products"
    published = Counts(classes=(11_318, 11_316), images=(59_551, 60_502))
    url = "http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip"
    md5 = "7f73d41a2f44250d4779881525aea32e"
    archive = f"{FOLDER}.zip"
    layout = f"{{root}}/{FOLDER} has {TRAIN}, {TEST} and bicycle_final/ … toaster_final/"

    def find(self) -> Listing | None:
        for base in (self.root / FOLDER, self.root):
            if (base / TRAIN).is_file() and (base / TEST).is_file():
                test = _listed(self.root, base / TEST)
                listed = _listed(self.root, base / TRAIN) + test
                return Listing(
                    listed,
                    list(dict.fromkeys(image.class_name for image in listed)),
                    frozenset(image.class_name for image in test),
                )
        return None


def _listed(root: Path, path: Path) -> list[Listed]:
    base = path.parent.relative_to(root)
    return [
        Listed((base / file).as_posix(), f"product_{product}")
        for _, (_, product, _, file) in text_rows(
            path, "image_id class_id super_class_id path", header=1
        )
    ]
