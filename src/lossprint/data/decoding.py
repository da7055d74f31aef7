"""From an image file to RGB pixels, whatever format and bit depth it was saved in."""

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from lossprint.files import placeholder

# Pillow recognises these, but hands their pixels to programs that are not part of it.
_WITHOUT_DECODER = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
HEIF = ".heic", ".heif"
"""Formats that take the extra `heif`."""
# Pictures that Pillow does not read: a class that holds nothing else has not been meant to vanish.
UNREAD_PICTURES = frozenset(
    {*HEIF, ".arw", ".cr2", ".cr3", ".dng", ".exr", ".jxl", ".nef", ".orf", ".raf", ".raw", ".rw2",
     ".svg"}
)  # fmt: skip
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Interpolation = Literal["bilinear", "bicubic", "nearest"]
"""By which filter images are resized; the first two are antialiased."""
TURNED = "turned as their EXIF orientation says"
SCALED = "scaled from 16 bits"
ON_WHITE = "transparent, laid on white"
FIRST_FRAME = "of several frames, of which the first is taken"


class Decoded(NamedTuple):
    """An image as RGB, and what was done about it beyond a change of colour space."""

    image: Image.Image
    remarks: tuple[str, ...]


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in small letters, of the formats that can be read: Pillow's own list of them.

    HEIC is among them where `pillow-heif` is installed.
    """
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    return frozenset(
        suffix
        for suffix, name in Image.registered_extensions().items()
        if (name in Image.OPEN or name == "MPO") and name not in _WITHOUT_DECODER
    )


def decode_image(path: Path, *, draft: int | None = None) -> Decoded:
    """Decode one image, as a viewer would show it.

    It is turned as its EXIF orientation says. Grey, palette and CMYK images become RGB, 16 bits a
    channel become 8 (65535 is white), transparent pixels are laid on white. Of an animation the
    first frame is taken.

    Args:
        path: of the file.
        draft: a JPEG may be decoded at a fraction of its size, with sides no shorter than this;
            None decodes every pixel.

    Raises:
        ValueError: the file is no image that can be decoded; the message names it.
    """
    image_suffixes()  # has the formats registered
    try:
        with Image.open(path) as file:
            remarks = [FIRST_FRAME] if getattr(file, "n_frames", 1) > 1 else []
            if draft is not None:
                file.draft("RGB", (draft, draft))
            image, changed = _to_rgb(file)
            remarks += changed
            turned = _turned(file, image)
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise ValueError(f"cannot decode image {path}: {_reason(error, path)}") from error
    if turned is not image:
        remarks.append(TURNED)
    return Decoded(turned, tuple(remarks))


def read_image(
    path: Path, short_side: int | None, interpolation: Interpolation = "bilinear"
) -> np.ndarray:
    """Decode one image as RGB uint8 [H, W, 3], its short side resized to `short_side` pixels.

    See `decode_image`. Filters are PIL's; the bilinear one is that of the published protocols.

    Raises:
        ValueError: the file is no image that can be decoded; the message names it.
    """
    return np.asarray(resized(decode_image(path).image, short_side, interpolation))


def resized(
    image: Image.Image, short_side: int | None, interpolation: Interpolation = "bilinear"
) -> Image.Image:
    """The image with a short side of `short_side` pixels; as it is for None."""
    if short_side is None or min(image.size) == short_side:
        return image
    filter_ = Image.Resampling[interpolation.upper()]
    return image.resize(resized_size(image.size, short_side), filter_)


def check_interpolation(setting: str, value: str) -> None:
    """Raise ValueError unless `value` names a filter."""
    valid = get_args(Interpolation)
    if value not in valid:
        raise ValueError(f"{setting}={value!r} must be one of {', '.join(valid)}")


def resized_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Width and height of an image of `size` when its short side has `short_side` pixels."""
    factor = short_side / min(size)
    width, height = (max(short_side, int(side * factor)) for side in size)
    return width, height


def _to_rgb(file: Image.Image) -> tuple[Image.Image, list[str]]:
    """RGB pixels in the file's own orientation, and what was done for it."""
    if file.mode.startswith("I;16") or (file.mode == "I" and file.format in ("PNG", "PPM")):
        return _from_16_bits(file).convert("RGB"), [SCALED]
    if file.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are 32-bit {'integers' if file.mode == 'I' else 'floats'}, and which of "
            "them is white is not told; save it with 8 or 16 bits"
        )
    if file.has_transparency_data:
        layer = file.convert("RGBA")
        if np.asarray(layer.getchannel("A")).min() < 255:
            paper = Image.new("RGBA", layer.size, "white")
            return Image.alpha_composite(paper, layer).convert("RGB"), [ON_WHITE]
        return layer.convert("RGB"), []
    return file.convert("RGB"), []


def _from_16_bits(file: Image.Image) -> Image.Image:
    values = np.asarray(file).astype(np.float64)
    return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))


def _turned(file: Image.Image, image: Image.Image) -> Image.Image:
    """`image` in the orientation that the file's EXIF tells; itself where it tells none."""
    try:
        turn = _TURNS.get(file.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # its pixels are whole though its description is damaged
        return image
    return image if turn is None else image.transpose(turn)


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is {placeholder(path) or 'in no format that is read'}"
    text = " ".join(str(error).split())
    return text or type(error).__name__
