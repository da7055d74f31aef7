"""In-Shop Clothes Retrieval: 52,712 photos of 7,982 garments."""

from dataclasses import dataclass
from pathlib import Path

from lossprint.data.sources.listing import Listed, Listing, text_rows
from lossprint.data.sources.source import Counts, PublishedSource

LIST = "list_eval_partition.txt"
STATUSES = ("train", "query", "gallery")


@dataclass(frozen=True, kw_only=True)
class InShop(PublishedSource):
    """Liu et al., "DeepFashion: Powering Robust Clothes Recognition and Retrieval", 2016.

    The list's `train` images develop; `query` and `gallery` images together are the test, in
    which every image is a query against all others, as on the other data sets. (The benchmark's
    own protocol looks for its 14,218 queries among its 12,612 gallery images only, so figures
    differ from those it reports.)

    `root` holds `list_eval_partition.txt` (itself, or in `Eval/` or `Anno/`) and `img/` (itself,
    or in `Img/`).
    """

    name = "In-Shop"
    published = Counts(classes=(3997, 3985), images=(25_882, 26_830))

    def listing(self) -> Listing:
        root = self.root
        places = (root / LIST, root / "Eval" / LIST, root / "Anno" / LIST)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"no In-Shop under {root}. Its authors give it to who signs their agreement "
                "(DeepFashion, In-shop Clothes Retrieval Benchmark), so it cannot be downloaded "
                f"from here; put {LIST} and the unpacked img/ folder into {root}"
            )
        return _read(path, prefix="Img/" if (root / "Img" / "img").is_dir() else "")


def _read(path: Path, *, prefix: str) -> Listing:
    listed = []
    parts: dict[str, set[str]] = {"development": set(), "test": set()}
    # Two lines of header: the number of images, the names of the columns.
    for number, (file, item, status) in text_rows(path, "image_name item_id status", header=2):
        if status not in STATUSES:
            raise ValueError(
                f"{path}, line {number}: {status!r} is no status of {', '.join(STATUSES)}"
            )
        listed.append(Listed(prefix + file, item))
        parts["development" if status == "train" else "test"].add(item)
    shared = parts["development"] & parts["test"]
    if shared:
        raise ValueError(f"{path} lists {min(shared)} for training and for the test")
    return Listing(listed, sorted(parts["development"] | parts["test"]), frozenset(parts["test"]))
