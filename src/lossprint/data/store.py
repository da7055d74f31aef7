"""Images decoded once into a memory-mapped file that every run of a sweep shares."""

import hashlib
import json
import logging
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from lossprint.data.decoding import Interpolation, decode_image, read_image, resized
from lossprint.data.index import ImageIndex
from lossprint.files import alone, remove_leftovers, whole_file

log = logging.getLogger(__name__)

STORE_VERSION = 3
LONGEST_SIDE = 1_000_000  # pixels: a longer one is a damaged header
BLOCK = 256  # images decoded at once: bounds the memory of a build


class Decoded(NamedTuple):
    """What a store's header says of N images.

    Attributes:
        sizes: [N, 2] int64, height and width.
        checksums: N CRC-32 of their bytes.
    """

    sizes: Tensor
    checksums: list[int]


@dataclass(frozen=True, eq=False)
class FirstReading:
    """Compares what is first read of a store's image with its checksum, at some 0.2 ms an image.

    Attributes:
        checksums: by row, of the images that were not read yet.
        paths: of the files that the store was decoded from.
        short_side, interpolation: as of the store.
        header: of the store; without it the store is built anew.
    """

    checksums: dict[int, int]
    paths: list[Path]
    short_side: int | None
    interpolation: Interpolation
    header: Path

    def check(self, row: int, image: Tensor) -> None:
        """Put right the pixels of a damaged image, with a word; the next command decodes all."""
        expected = self.checksums.pop(row, None)
        if expected is None or zlib.crc32(image.numpy().data) == expected:
            return
        path = self.paths[row]
        log.warning("%s is damaged at %s, which is decoded anew", self.header.stem, path)
        self.header.unlink(missing_ok=True)
        pixels = read_image(path, self.short_side, self.interpolation)
        image.copy_(torch.from_numpy(pixels.copy()))


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N images of any heights and widths as one flat block of bytes.

    Attributes:
        pixels: [bytes] uint8; image i occupies height · width · 3 of them from `offsets[i]`.
        offsets: [N] int64.
        sizes: [N, 2] int64, height and width.
        first: checks each image when it is first read; None where there is no file to doubt.
    """

    pixels: Tensor
    offsets: Tensor
    sizes: Tensor
    first: FirstReading | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def image(self, row: int) -> Tensor:
        """Image `row` as uint8 [H, W, 3], a view into the store."""
        height, width = self.sizes[row].tolist()
        start = int(self.offsets[row])
        image = self.pixels[start : start + height * width * 3].view(height, width, 3)
        if self.first is not None:
            self.first.check(row, image)
        return image

    def images(self, rows: Sequence[int] | Tensor) -> list[Tensor]:
        return [self.image(int(row)) for row in rows]

    def to(self, device: torch.device | str) -> "ImageStore":
        """The same store with its pixels on `device`."""
        for row in range(len(self)):
            self.image(row)  # while they can be compared with what they should be
        return ImageStore(self.pixels.to(device), self.offsets, self.sizes)


def open_store(
    folder: Path,
    index: ImageIndex,
    short_side: int | None,
    interpolation: Interpolation = "bilinear",
) -> ImageStore:
    """The store of `index` at one size under `folder`; built when it is not there yet.

    It is keyed by the images' names and bytes and by how they are resized, so a changed data set
    gets a store of its own, and copies of one share it. The file appears whole or not at all, is
    built by one process while others wait for it, and built anew where it is damaged. Pixels are
    compared with their checksums when they are first read.

    Raises:
        ValueError: an image cannot be decoded (its path is named).
    """
    how = f"{short_side}" if interpolation == "bilinear" else f"{short_side} {interpolation}"
    key = hashlib.sha256(f"{STORE_VERSION} {index.fingerprint()} {how}".encode()).hexdigest()[:16]
    data_path, header_path = folder / f"{key}.uint8", folder / f"{key}.json"
    paths = index.paths()

    def mapped() -> ImageStore | None:
        return _mapped(data_path, header_path, paths, short_side, interpolation)

    store = mapped()
    if store is None:
        with alone(folder, f"decoding images into {folder}", name=f".{key}.lock"):
            store = mapped()  # another process may have built it
            if store is None:
                remove_leftovers(folder)
                _build(paths, short_side, interpolation, data_path, header_path)
                store = mapped()
    if store is None:
        raise OSError(f"{data_path} cannot be read though it was just written")
    return store


def _mapped(
    data_path: Path,
    header_path: Path,
    paths: list[Path],
    short_side: int | None,
    interpolation: Interpolation,
) -> ImageStore | None:
    """The store of two files; None where they are not there, or, with a word, damaged."""
    try:
        sizes, checksums = read_header(header_path)
        if len(sizes) != len(paths):
            raise ValueError(f"{header_path} is damaged: {len(sizes)} sizes, {len(paths)} images")
        lengths = sizes.prod(dim=1) * 3
        found, expected = data_path.stat().st_size, int(lengths.sum())
        if found != expected:
            raise ValueError(f"{data_path} is damaged: {found} bytes, its header says {expected}")
        # Copy-on-write keeps the file unharmed and gives torch the writable buffer it asks for.
        mapped = np.memmap(data_path, dtype=np.uint8, mode="c")
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("%s; the images are decoded anew", error)
        return None
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)[:-1]])
    checks = dict(enumerate(checksums))
    first = FirstReading(checks, paths, short_side, interpolation, header_path)
    return ImageStore(torch.from_numpy(mapped), offsets, sizes, first)


def read_header(path: Path) -> Decoded:
    """Read what a store's header says of its images.

    Raises:
        FileNotFoundError: there is no header.
        ValueError: it is damaged; names the file.
    """
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        if header["version"] != STORE_VERSION:
            raise ValueError(f"its version is {header['version']!r}, not {STORE_VERSION}")
        sizes = header["sizes"]
        for size in sizes:
            height, width = size
            if not all(type(side) is int and 0 < side <= LONGEST_SIDE for side in (height, width)):
                raise ValueError(f"{size!r} is no height and width")
        checksums = header["checksums"]
        if not all(type(checksum) is int for checksum in checksums):
            raise ValueError("a checksum is no whole number")
        if len(checksums) != len(sizes):
            raise ValueError(f"{len(sizes)} sizes, {len(checksums)} checksums")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return Decoded(torch.tensor(sizes, dtype=torch.int64).view(-1, 2), checksums)


def _build(
    paths: list[Path],
    short_side: int | None,
    interpolation: Interpolation,
    data_path: Path,
    header_path: Path,
) -> None:
    def decode(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
        image, remarks = decode_image(path)
        return np.asarray(resized(image, short_side, interpolation)), remarks

    sizes: list[tuple[int, int]] = []
    checksums: list[int] = []
    remarked: Counter[str] = Counter()
    with (
        whole_file(data_path) as temporary,
        temporary.open("wb") as file,
        ThreadPoolExecutor() as pool,
    ):
        blocks = [paths[start : start + BLOCK] for start in range(0, len(paths), BLOCK)]
        for block in track(blocks, "decoding images", transient=True):
            for pixels, remarks in pool.map(decode, block):
                sizes.append(pixels.shape[:2])
                content = pixels.tobytes()
                checksums.append(zlib.crc32(content))
                remarked.update(remarks)
                file.write(content)
    header = {"version": STORE_VERSION, "sizes": sizes, "checksums": checksums}
    with whole_file(header_path) as temporary:
        temporary.write_text(json.dumps(header))
    if remarked:
        log.info(
            "decoded %s images, of them %s",
            f"{len(paths):,}",
            "; ".join(f"{count:,} {remark}" for remark, count in remarked.most_common()),
        )
