"""The files of a frame: images/<frame>.png and masks/<frame>.png, and whether they are whole."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from lossprint.files import whole_file

IMAGES, MASKS = "images", "masks"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRAILER = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GREY, _COLOUR = 0, 2  # PNG colour types


def image_path(folder: Path, frame: int) -> Path:
    return folder / IMAGES / f"{frame:06d}.png"


def mask_path(folder: Path, frame: int) -> Path:
    return folder / MASKS / f"{frame:06d}.png"


def write_frame(folder: Path, frame: int, image: np.ndarray, mask: np.ndarray) -> None:
    """Write image uint8 [H, W, 3] and mask uint8 [H, W]; the image last, both whole or absent."""
    for path, pixels in ((mask_path(folder, frame), mask), (image_path(folder, frame), image)):
        with whole_file(path) as temporary:
            Image.fromarray(pixels).save(temporary, format="PNG")


def missing_frames(
    folder: Path, frames: Iterable[int], size: int, *, thorough: bool = False
) -> list[int]:
    """Those of the frames whose image or mask is absent, cut off or of another size.

    `thorough` reads each file through and compares its checksums; otherwise both ends are looked
    at, which finds every file whose writing was interrupted.
    """
    return [frame for frame in frames if not is_frame_whole(folder, frame, size, thorough=thorough)]


def is_frame_whole(folder: Path, frame: int, size: int, *, thorough: bool = False) -> bool:
    return _is_png(image_path(folder, frame), size, _COLOUR, thorough) and _is_png(
        mask_path(folder, frame), size, _GREY, thorough
    )


def _is_png(path: Path, size: int, colour: int, thorough: bool) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(33)
            file.seek(0 if thorough else max(33, file.seek(0, 2) - len(_TRAILER)))
            rest = file.read()
    except FileNotFoundError:
        return False
    expected = struct.pack(">II", size, size) + bytes([8, colour])
    is_complete = head[:8] == _SIGNATURE and head[16:26] == expected and rest.endswith(_TRAILER)
    return is_complete and (not thorough or _are_chunks_sound(rest))


def _are_chunks_sound(content: bytes) -> bool:
    """Whether every chunk has its length and its checksum (PNG specification, section 5.3)."""
    position = len(_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        end = position + 12 + length
        if end > len(content):
            return False
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(content[position + 4 : end - 4]) != checksum:
            return False
        position = end
    return position == len(content)
