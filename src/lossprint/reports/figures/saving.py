"""Figures to files and bytes, without a display and without global state."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from lossprint.files import whole_file
from lossprint.reports.style import MATPLOTLIB


def png_bytes(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(MATPLOTLIB):
        figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


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
