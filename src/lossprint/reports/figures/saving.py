"""Figures to files and bytes, without a display and without global state."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from lossprint.files import whole_file
from lossprint.reports.style import MATPLOTLIB

PHOTOGRAPH_QUALITY = 85
"""Of WebP, of 100."""


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `<stem>.png` and `<stem>.svg`; return both paths."""
    paths = []
    with matplotlib.rc_context(MATPLOTLIB):
        for suffix in (".png", ".svg"):
            path = stem.with_name(stem.name + suffix)
            # A date inside the file would make two equal figures differ.
            metadata = {"Date": None} if suffix == ".svg" else None
            with whole_file(path) as temporary:
                figure.savefig(temporary, facecolor="white", metadata=metadata)
            # The layout is found while drawing, which takes longest; once is enough.
            figure.set_layout_engine("none")
            paths.append(path)
    return paths


def web_picture(png: Path, *, photographs: bool) -> bytes:
    """A picture as WebP, for a page that carries its pictures inside.

    Args:
        png: the picture.
        photographs: encode with losses that the eye does not see; drawings lose nothing. Without
            them, photographs take ten times as much.
    """
    buffer = io.BytesIO()
    with Image.open(png) as picture:
        options = {"quality": PHOTOGRAPH_QUALITY} if photographs else {"lossless": True}
        picture.convert("RGB").save(buffer, "WEBP", **options)
    return buffer.getvalue()
