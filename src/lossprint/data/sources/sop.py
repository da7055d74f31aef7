"""Stanford Online Products: 120,053 photos of 22,634 products."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.index import Partition
from lossprint.data.sources.download import download_archive
from lossprint.data.sources.listing import BadImages, Counts, Listed, check_counts, partition

PUBLISHED = Counts(classes=(11_318, 11_316), images=(59_551, 60_502))
URL = "http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip"
MD5 = "7f73d41a2f44250d4779881525aea32e"
FOLDER = "Stanford_Online_Products"


@dataclass(frozen=True)
class StanfordOnlineProducts:
    """Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding", 2016.

    `Ebay_train.txt` develops, `Ebay_test.txt` tests, in `root` or in
    `root/Stanford_Online_Products`.

    Attributes:
        root: folder of the data set.
        download: fetch the 3 GB archive if nothing is there.
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
        base = self._base(root)
        development = _listed(root, base / "Ebay_train.txt")
        test = _listed(root, base / "Ebay_test.txt")
        test_classes = {image.class_name for image in test}
        listed = [*development, *test]
        images = partition(
            root,
            listed,
            list(dict.fromkeys(image.class_name for image in listed)),
            lambda image: image.class_name in test_classes,
            bad_images,
        )
        if self.verify:
            check_counts("Stanford Online Products", root, images, PUBLISHED)
        return images

    def _base(self, root: Path) -> Path:
        base = _find(root)
        if base is None and self.download:
            try:
                download_archive(URL, root, name=f"{FOLDER}.zip", md5=MD5)
            except OSError as error:
                raise FileNotFoundError(_where(root, f"its download failed ({error})")) from error
            base = _find(root)
        if base is None:
            raise FileNotFoundError(_where(root, "Ebay_train.txt or Ebay_test.txt is not there"))
        return base


def _find(root: Path) -> Path | None:
    for base in (root / FOLDER, root):
        if (base / "Ebay_train.txt").is_file() and (base / "Ebay_test.txt").is_file():
            return base
    return None


def _where(root: Path, reason: str) -> str:
    return (
        f"no Stanford Online Products under {root}: {reason}. Unpack {URL} there, so that "
        f"{root / FOLDER} has Ebay_train.txt, Ebay_test.txt and bicycle_final/ … toaster_final/"
    )


def _listed(root: Path, path: Path) -> list[Listed]:
    """Lines `image_id class_id super_class_id path` below a header."""
    base = path.parent.relative_to(root)
    listed = []
    for number, line in enumerate(path.read_text().splitlines()[1:], start=2):
        if not line.strip():
            continue
        fields = line.split(maxsplit=3)
        if len(fields) != 4:
            raise ValueError(
                f"{path}, line {number}: {line!r} is not `image_id class_id super_class_id path`"
            )
        listed.append(Listed((base / fields[3]).as_posix(), f"product_{fields[1]}"))
    return listed
