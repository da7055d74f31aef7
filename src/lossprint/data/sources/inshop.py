"""In-Shop Clothes Retrieval: 52,712 photos of 7,982 garments."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.index import Partition
from lossprint.data.sources.listing import BadImages, Counts, Listed, check_counts, partition

PUBLISHED = Counts(classes=(3997, 3985), images=(25_882, 26_830))
LIST = "list_eval_partition.txt"
STATUSES = ("train", "query", "gallery")


@dataclass(frozen=True)
class InShop:
    """Liu et al., "DeepFashion: Powering Robust Clothes Recognition and Retrieval", 2016.

    The list's `train` images develop; `query` and `gallery` images together are the test, in
    which every image is a query against all others, as on the other data sets. (The benchmark's
    own protocol looks for its 14,218 queries among its 12,612 gallery images only, so figures
    differ from those it reports.)

    Attributes:
        root: folder with `list_eval_partition.txt` (itself, or in `Eval/` or `Anno/`) and `img/`
            (itself, or in `Img/`).
        verify: refuse a copy with other than the published numbers of classes and images.
        on_bad_image, cache: see `BadImages`.
    """

    root: Path
    verify: bool = True
    on_bad_image: str = "raise"
    cache: Path | None = None

    def __call__(self) -> Partition:
        """Read the list.

        Raises:
            FileNotFoundError: the data set, or a part of it, is missing; says what goes where.
            ValueError: a line of the list cannot be understood, or the numbers are not the
                published ones.
        """
        root = Path(self.root)
        bad_images = BadImages(self.on_bad_image, None if self.cache is None else Path(self.cache))
        listed, test_files = _read(root)
        images = partition(
            root,
            listed,
            sorted({image.class_name for image in listed}),
            lambda image: image.file in test_files,
            bad_images,
        )
        if self.verify:
            check_counts("In-Shop", root, images, PUBLISHED)
        return images


def _read(root: Path) -> tuple[list[Listed], set[str]]:
    path = next(
        (p for p in (root / LIST, root / "Eval" / LIST, root / "Anno" / LIST) if p.is_file()), None
    )
    if path is None:
        raise FileNotFoundError(
            f"no In-Shop under {root}. Its authors give it to who signs their agreement "
            "(DeepFashion, In-shop Clothes Retrieval Benchmark), so it cannot be downloaded from "
            f"here; put {LIST} and the unpacked img/ folder into {root}"
        )
    prefix = "Img/" if (root / "Img" / "img").is_dir() else ""
    listed, test_files = [], set()
    # Two lines of header: the number of images, the names of the columns.
    for number, line in enumerate(path.read_text().splitlines()[2:], start=3):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 3 or fields[2] not in STATUSES:
            raise ValueError(
                f"{path}, line {number}: {line!r} is not `image_name item_id status` with a "
                f"status of {', '.join(STATUSES)}"
            )
        image = Listed(prefix + fields[0], fields[1])
        listed.append(image)
        if fields[2] != "train":
            test_files.add(image.file)
    return listed, test_files
