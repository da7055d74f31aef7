"""The probe set: images whose properties are known, on which every model is compared."""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lossprint.data.augment import CenterCrop, crop_and_resize
from lossprint.data.contents import file_digests
from lossprint.data.index import ImageIndex
from lossprint.data.masks import read_masks
from lossprint.data.probe_table import Samples, image_names, read_samples
from lossprint.data.store import ImageStore, open_store
from lossprint.data.tables import read_table
from lossprint.metrics.properties import label_codes

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

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike | Tensor,
        properties: pd.DataFrame | Mapping[str, Any],
        *,
        masks: ArrayLike | Tensor | None = None,
        name: str = "images in memory",
    ) -> "ProbeSet":
        """Make a probe set of images at hand.

        Args:
            images: [N, 3, S, S] or [N, S, S, 3]; uint8, or floats from 0 to 1.
            properties: a column, or an entry with N values, for each property. Values are
                categories.
            masks: [N, S, S] integers: 0 ground, 1 object, 2 shadow.
            name: of the set.

        Raises:
            ValueError: images, properties or masks of another shape or range, or a property
                without values or of continuous ones; the message says which.

        Example:
            >>> images = np.zeros((4, 8, 8, 3), dtype=np.uint8)
            >>> probe = ProbeSet.from_arrays(images, {"colour": ["red", "red", "blue", "blue"]})
            >>> len(probe), probe.size
            (4, 8)
        """
        pixels = _pixels(images)
        count, size = pixels.shape[:2]
        table = pd.DataFrame({str(key): _values(properties[key]) for key in properties})
        table.index = pd.RangeIndex(len(table), name="frame")
        if len(table) != count or table.columns.empty:
            raise ValueError(
                f"properties must hold one value for each of the {count} images in at least one "
                f"column, not {len(table)} in {len(table.columns)}"
            )
        for column in table:
            label_codes(str(column), table[column], count)
        labels = None if masks is None else torch.as_tensor(masks).cpu()
        if labels is not None and (labels.shape != pixels.shape[:3] or labels.is_floating_point()):
            raise ValueError(
                f"masks must be integers [{count}, {size}, {size}], not {labels.dtype} "
                f"{list(labels.shape)}"
            )
        sizes = torch.tensor([[size, size]] * count)
        store = ImageStore(pixels.flatten(), torch.arange(count) * size * size * 3, sizes)
        digest = hashlib.sha256(pixels.numpy().tobytes() + table.to_csv().encode())
        return cls(
            name=name,
            files=tuple(f"images/{row:06d}" for row in range(count)),
            properties=table,
            store=store,
            size=size,
            masks=None if labels is None else labels.to(torch.uint8),
            interventions=None,
            fingerprint=digest.hexdigest()[:16],
        )


def _values(values: Any) -> Any:
    """One property's values, as pandas takes them."""
    if hasattr(values, "detach"):  # a tensor
        return values.detach().cpu().numpy()
    return values.array if hasattr(values, "array") else values


def _pixels(images: ArrayLike | Tensor) -> Tensor:
    """Bytes [N, S, S, 3] on the CPU."""
    pixels = torch.as_tensor(images).cpu()
    if pixels.ndim == 4 and pixels.shape[-1] != 3:
        pixels = pixels.permute(0, 2, 3, 1)
    if pixels.ndim != 4 or pixels.shape[1:] != (pixels.shape[1], pixels.shape[1], 3):
        shape = list(torch.as_tensor(images).shape)
        raise ValueError(
            f"images must be squares in colour, [N, 3, S, S] or [N, S, S, 3], not {shape}"
        )
    if pixels.is_floating_point():
        low, high = pixels.min().item(), pixels.max().item()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"images must be uint8, or floats from 0 to 1, not from {low:g} to {high:g}: "
                "give them before they are normalized"
            )
        pixels = (pixels * 255).round().to(torch.uint8)
    if pixels.dtype != torch.uint8:
        raise ValueError(f"images must be uint8, or floats from 0 to 1, not {pixels.dtype}")
    return pixels.contiguous()


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
    try:
        store = open_store(cache, index, short_side or size)
    except ValueError as error:
        raise ValueError(f"{error}. Replace it, or delete its row of {samples.path}") from error
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
