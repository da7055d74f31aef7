"""The probe set: images whose properties are known, on which every model is compared."""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lossprint.data.augment import CenterCrop, crop_and_resize
from lossprint.data.contents import file_digests
from lossprint.data.index import ImageIndex
from lossprint.data.masks import read_masks
from lossprint.data.probe_table import Samples, image_names, read_samples
from lossprint.data.store import ImageStore, open_store
from lossprint.data.tables import read_table

log = logging.getLogger(__name__)

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
        fingerprint: sixteen hex digits over files' bytes, sizes and properties.
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
    columns: Mapping[str, str | None] = {},
    bins: Mapping[str, int | Sequence[float]] = {},
    leave_out: Collection[str] = (),
) -> ProbeSet:
    """Read a folder of images with a table of their properties.

    `samples.csv` names each image by `file` or `frame`, see `read_samples`; every other column is
    a property. `masks/` with a mask of each image's name (see `read_masks`) and
    `interventions.csv` may lie beside. The published renders have this layout.

    Args:
        folder: the set.
        size: side of the centred square that models get.
        cache: where decoded images are kept.
        short_side: images are resized to it first; None for `size`.
        limit: only the first so many images.
        columns, bins, leave_out: see `read_samples`.

    Raises:
        FileNotFoundError: no such folder, no table in it, or an image or a mask that is missing.
        ValueError: the table, a mask or the interventions cannot be understood, or, where all
            frames are asked for, an image has no frame.
    """
    folder, cache = Path(folder), Path(cache)
    samples = read_samples(folder, columns=columns, bins=bins, leave_out=leave_out)
    if limit is None:
        _account_for_all(folder, samples)
    files, table = samples.files[:limit], samples.properties.iloc[:limit]
    if not files:
        raise ValueError(f"probe.limit={limit} leaves no image of {folder}")
    index = ImageIndex(
        folder,
        files,
        np.zeros(len(files), dtype=np.int64),
        ("all",),
        file_digests(folder, files, cache),
    )
    store = open_store(cache, index, short_side or size)
    interventions = folder / INTERVENTIONS
    content = index.fingerprint() + table.to_csv() + f"{size} {short_side or size}"
    return ProbeSet(
        name=folder.resolve().name,
        files=files,
        properties=table,
        store=store,
        size=size,
        masks=_masks(folder, files, store, size),
        interventions=_read_interventions(interventions) if interventions.is_file() else None,
        fingerprint=hashlib.sha256(content.encode()).hexdigest()[:16],
    )


def _account_for_all(folder: Path, samples: Samples) -> None:
    """Say which images the table does not list; refuse a rendered set that lost some rows."""
    unlisted = sorted(set(image_names(folder, "images").files).difference(samples.files))
    unlisted = [file for file in unlisted if not file.startswith("masks/")]
    if not unlisted:
        return
    if samples.by_frame:
        raise ValueError(
            f"{samples.path} misses the frames of {len(unlisted)} images, first {unlisted[0]}: "
            f"add their rows, or take the first ones with probe.limit={len(samples.files)}"
        )
    log.info(
        "left out: %d images of %s that its table does not list, first %s",
        len(unlisted), folder, unlisted[0],
    )  # fmt: skip


def _read_interventions(file: Path) -> pd.DataFrame:
    table = read_table(file)
    missing = [name for name in INTERVENTION_COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(
            f"{file} has no column `{missing[0]}`; its columns are {list(table.columns)}"
        )
    return table


def _masks(folder: Path, files: Sequence[str], store: ImageStore, size: int) -> Tensor | None:
    if not (folder / "masks").is_dir():
        return None
    masks = image_names(folder, "masks")
    found = []
    for file in files:
        inner = Path(file.removeprefix("images/"))
        alike = [
            mask
            for name in (inner.as_posix(), inner.with_suffix("").as_posix(), inner.stem)
            for mask in masks.find(name)
        ]
        if not alike:
            raise FileNotFoundError(
                f"{folder / 'masks'} has no mask for {file}: each image has one of its name "
                f"(masks/{inner.with_suffix('.png').as_posix()}), or move masks/ away to go on "
                "without"
            )
        found.append(folder / alike[0])
    return read_masks(found, store.sizes, size=size)
