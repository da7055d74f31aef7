"""Images decoded once into a memory-mapped file that every run of a sweep shares."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from lossprint.data.decoding import decode_image, resized
from lossprint.data.index import ImageIndex
from lossprint.files import whole_file

log = logging.getLogger(__name__)

STORE_VERSION = 2
BLOCK = 256  # images decoded at once: bounds the memory of a build


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N images of any heights and widths as one flat block of bytes.

    Attributes:
        pixels: [bytes] uint8; image i occupies height · width · 3 of them from `offsets[i]`.
        offsets: [N] int64.
        sizes: [N, 2] int64, height and width.
    """

    pixels: Tensor
    offsets: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.offsets)

    def image(self, row: int) -> Tensor:
        """Image `row` as uint8 [H, W, 3], a view into the store."""
        height, width = self.sizes[row].tolist()
        start = int(self.offsets[row])
        return self.pixels[start : start + height * width * 3].view(height, width, 3)

    def images(self, rows: Sequence[int] | Tensor) -> list[Tensor]:
        return [self.image(int(row)) for row in rows]

    def to(self, device: torch.device | str) -> "ImageStore":
        """The same store with its pixels on `device`."""
        return ImageStore(self.pixels.to(device), self.offsets, self.sizes)


def open_store(folder: Path, index: ImageIndex, short_side: int | None) -> ImageStore:
    """The store of `index` at one size under `folder`; built when it is not there yet.

    It is keyed by the images' names and bytes and by `short_side`, so a changed data set gets a
    store of its own, and copies of one share it. The file appears whole or not at all; processes
    that build the same one at the same time write the same bytes.

    Raises:
        ValueError: an image cannot be decoded (its path is named).
    """
    key = hashlib.sha256(
        f"{STORE_VERSION} {index.fingerprint()} {short_side}".encode()
    ).hexdigest()[:16]
    data_path, header_path = folder / f"{key}.uint8", folder / f"{key}.json"
    if not header_path.exists():
        _build(index.paths(), short_side, data_path, header_path)
    header = json.loads(header_path.read_text())
    sizes = torch.tensor(header["sizes"], dtype=torch.int64).view(-1, 2)
    lengths = sizes.prod(dim=1) * 3
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)[:-1]])
    expected = int(lengths.sum())
    if data_path.stat().st_size != expected:
        raise ValueError(
            f"{data_path} holds {data_path.stat().st_size} bytes, its header says {expected}; "
            "delete both and run again"
        )
    # Copy-on-write keeps the file unharmed and gives torch the writable buffer it asks for.
    mapped = np.memmap(data_path, dtype=np.uint8, mode="c")
    return ImageStore(torch.from_numpy(mapped), offsets, sizes)


def _build(paths: list[Path], short_side: int | None, data_path: Path, header_path: Path) -> None:
    def decode(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
        image, remarks = decode_image(path)
        return np.asarray(resized(image, short_side)), remarks

    sizes: list[tuple[int, int]] = []
    remarked: Counter[str] = Counter()
    with (
        whole_file(data_path) as temporary,
        temporary.open("wb") as file,
        ThreadPoolExecutor() as pool,
        Progress(transient=True) as progress,
    ):
        blocks = [paths[start : start + BLOCK] for start in range(0, len(paths), BLOCK)]
        for block in progress.track(blocks, description="decoding images"):
            for pixels, remarks in pool.map(decode, block):
                sizes.append(pixels.shape[:2])
                remarked.update(remarks)
                file.write(pixels.tobytes())
    with whole_file(header_path) as temporary:
        temporary.write_text(json.dumps({"version": STORE_VERSION, "sizes": sizes}))
    if remarked:
        log.info(
            "decoded %s images, of them %s",
            f"{len(paths):,}",
            "; ".join(f"{count:,} {remark}" for remark, count in remarked.most_common()),
        )
