"""The probe set: images whose properties are known, on which every model is compared."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from lossprint.data.augment import CenterCrop, crop_and_resize
from lossprint.data.index import ImageIndex
from lossprint.data.store import ImageStore, open_store

SAMPLES = "samples.csv"
INTERVENTIONS = "interventions.csv"
INTERVENTION_COLUMNS = ("base", "property", "frame")


@dataclass(frozen=True, eq=False)
class ProbeSet:
    """N images and, for each, the category of every property.

    Attributes:
        name: short name of the set, the folder's.
        files: N image paths relative to the folder; an image's identity (shared noise is drawn
            from it).
        properties: [N rows, one column per property], indexed by frame. Values are categories.
        store: the decoded images.
        size: side of the square view that models get, in pixels.
        masks: [N, size, size] uint8 (0 ground and backdrop, 1 car, 2 shadow), or None.
        interventions: rows `base, property, from, to, frame`, or None.
        fingerprint: sixteen hex digits over files, pixels' sizes and properties.
    """

    name: str
    files: tuple[str, ...]
    properties: pd.DataFrame
    store: ImageStore
    size: int
    masks: Tensor | None
    interventions: pd.DataFrame | None
    fingerprint: str

    def __len__(self) -> int:
        return len(self.files)

    def pixels(self, rows: Tensor | range | list[int]) -> Tensor:
        """uint8 [len(rows), 3, size, size]."""
        rows = torch.as_tensor(list(rows))
        crops = CenterCrop(self.size).draw(self.store.sizes[rows])
        return crop_and_resize(self.store.images(rows), crops, self.size)


def read_probe_set(
    folder: Path | str,
    *,
    size: int,
    cache: Path | str,
    short_side: int | None = None,
    limit: int | None = None,
) -> ProbeSet:
    """Read a folder in the layout of the published renders.

    `images/<frame>.png` and a `samples.csv` indexed by `frame`; `masks/<frame>.png` and
    `interventions.csv` beside them where there are any. Every other column is a property.

    Args:
        folder: the set.
        size: side of the centred square that models get.
        cache: where decoded images are kept.
        short_side: images are resized to it first; None for `size`.
        limit: only the first so many frames.

    Raises:
        FileNotFoundError: no such folder, or no `samples.csv` in it.
        ValueError: a column that is missing (`frame`, any property, those of interventions) or
            empty, a frame listed twice, a frame without its image, or, where all frames are asked
            for, an image without its frame.
    """
    folder = Path(folder)
    samples = folder / SAMPLES
    if not samples.is_file():
        raise FileNotFoundError(
            f"{samples} is missing: a probe set is a folder with images/<frame>.png and a "
            "samples.csv that has a column `frame` and one column per property"
        )
    table = pd.read_csv(samples)
    if "frame" not in table.columns:
        raise ValueError(f"{samples} has no column `frame`; its columns are {list(table.columns)}")
    table = table.set_index("frame")
    if table.columns.empty:
        raise ValueError(f"{samples} has no column but `frame`: every property is a column")
    empty = [str(name) for name in table.columns if table[name].isna().all()]
    if empty:
        raise ValueError(f"{samples} has no value in its column {empty[0]}")
    if limit is not None:
        table = table.iloc[:limit]
    if not len(table):
        raise ValueError(f"{samples} lists no frame")
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise ValueError(f"{samples} lists frame {twice} twice")
    files = _files(folder, "images", table.index)
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        raise ValueError(f"{samples} lists {len(absent)} frames without image, first {absent[0]}")
    if limit is None:
        present = {f"images/{path.name}" for path in folder.glob("images/[!.]*.png")}
        if unlisted := sorted(present.difference(files)):
            raise ValueError(
                f"{samples} misses the frames of {len(unlisted)} images, first {unlisted[0]}"
            )
    index = ImageIndex(folder, files, np.zeros(len(files), dtype=np.int64), ("all",))
    interventions = folder / INTERVENTIONS
    content = index.fingerprint() + table.to_csv() + f"{size} {short_side or size}"
    return ProbeSet(
        name=folder.name,
        files=files,
        properties=table,
        store=open_store(Path(cache), index, short_side or size),
        size=size,
        masks=_read_masks(folder, table.index, short_side or size, size),
        interventions=_read_interventions(interventions) if interventions.is_file() else None,
        fingerprint=hashlib.sha256(content.encode()).hexdigest()[:16],
    )


def _files(folder: Path, kind: str, frames: pd.Index) -> tuple[str, ...]:
    """`images/<frame>.png`; frames are numbers, written plainly or padded to six digits."""
    if pd.api.types.is_integer_dtype(frames):
        padded = tuple(f"{kind}/{frame:06d}.png" for frame in frames)
        if (folder / padded[0]).is_file():
            return padded
    return tuple(f"{kind}/{frame}.png" for frame in frames)


def _read_interventions(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file)
    missing = [name for name in INTERVENTION_COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(
            f"{file} has no column `{missing[0]}`; its columns are {list(table.columns)}"
        )
    return table


def _read_masks(folder: Path, frames: pd.Index, short_side: int, size: int) -> Tensor | None:
    if not (folder / "masks").is_dir():
        return None
    masks = []
    for file in _files(folder, "masks", frames):
        with Image.open(folder / file) as image:
            factor = short_side / min(image.size)
            width, height = (max(short_side, int(side * factor)) for side in image.size)
            resized = image.convert("L").resize((width, height), Image.Resampling.NEAREST)
        labels = torch.from_numpy(np.asarray(resized).copy())[None]
        top, left, side, _ = (
            CenterCrop(size).draw(torch.tensor([[height, width]])).boxes[0].tolist()
        )
        masks.append(labels[:, top : top + side, left : left + side])
    return torch.cat(masks)
