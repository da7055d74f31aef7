"""The files of a frame: images/<frame>.png and masks/<frame>.png, and whether they are whole."""

import struct
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
            file.seek(max(33, file.seek(0, 2) - len(_TRAILER)))
            tail = file.read()
    except FileNotFoundError:
        return False
    expected = struct.pack(">II", size, size) + bytes([8, colour])
    is_complete = head[:8] == _SIGNATURE and head[16:26] == expected and tail == _TRAILER
    return is_complete and (not thorough or _is_sound(path))


def _is_sound(path: Path) -> bool:
    """Whether all of a picture's checksums are those of what it holds."""
    try:
        with Image.open(path) as image:
            image.verify()
    except Exception:  # readers of damaged files raise whatever they stumble over
        return False
    return True
