"""A map of losses: close means alike."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossprint.reports.style import FAMILY_MARKERS, MATPLOTLIB, readable
from lossprint.reports.tables import loss_matrix


def classical_mds(distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Place points in the plane so that their distances match (Torgerson's classical scaling).

    Args:
        distances: symmetric [L, L], zero diagonal, L ≥ 2.

    Returns:
        Points [L, 2], centred, each axis with its largest coordinate positive (which makes the
        result unique for distinct eigenvalues), and the share of the squared distances that the
        two axes carry: their eigenvalues over the sum of all positive ones (1 for all-zero
        distances).

    Raises:
        ValueError: `distances` is not square, or not finite.
    """
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"distances must be [L, L], got {list(distances.shape)}")
    if not np.isfinite(distances).all():
        raise ValueError("distances must be finite")
    count = len(distances)
    centering = np.eye(count) - 1.0 / count
    gram = -0.5 * centering @ np.square(distances) @ centering
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    points = vectors[:, :2] * np.sqrt(values[:2])
    largest = np.abs(points).argmax(axis=0)
    points *= np.where(points[largest, [0, 1]] < 0, -1.0, 1.0)
    total = values.sum()
    return points, float(values[:2].sum() / total) if total > 0 else 1.0


def loss_map(
    by_loss: pd.DataFrame, measure: str, *, title: str, colors: Mapping[str, str]
) -> Figure:
    """Draw losses in the plane, distance 1 − measure, by classical scaling.

    Args:
        by_loss: `agreement_by_loss` or `similarity_by_loss`.
        measure: the column to draw.
        title: the figure's title.
        colors: of every loss.

    Raises:
        ValueError: fewer than three losses, or a pair without a value.
    """
    matrix, families = loss_matrix(by_loss, measure)
    if len(matrix) < 3:
        raise ValueError(f"a map needs at least 3 losses, got {len(matrix)}")
    distances = 1.0 - matrix.to_numpy(dtype=float)
    np.fill_diagonal(distances, 0.0)
    if not np.isfinite(distances).all():
        raise ValueError(f"a map needs {measure!r} for every pair of losses")
    points, carried = classical_mds(np.maximum(distances, 0.0))
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        axes = figure.add_subplot()
        for (x, y), loss in zip(points, matrix.index, strict=True):
            family = families[loss]
            axes.scatter(
                x,
                y,
                s=70,
                marker=FAMILY_MARKERS.get(family, "X"),
                color=colors[loss],
                edgecolor="black",
                linewidth=0.6,
                zorder=3,
            )
        for family in dict.fromkeys(families[loss] for loss in matrix.index):
            axes.scatter(
                [], [], marker=FAMILY_MARKERS.get(family, "X"), color="#666666", label=family
            )
        axes.legend(frameon=False, fontsize=8, loc="best")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.22)
        axes.grid(alpha=0.25)
        axes.set_xlabel(f"close = alike; the plane carries {carried:.0%} of the squared distances")
        axes.set_title(title, loc="left")
        _name_points(figure, axes, points, [readable(loss) for loss in matrix.index])
    return figure


def _name_points(figure: Figure, axes: Axes, points: np.ndarray, names: list[str]) -> None:
    """Write each name right or left of its point, moved up until no two names overlap.

    Comes last: whatever else changed the layout would move the points away from their names.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pixels = axes.transData.transform(points)
    line, character = (size * figure.dpi / 72 for size in (11.0, 5.0))
    inside = axes.get_window_extent()
    leader = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6}
    placed: list[tuple[float, float, float]] = []
    for index in np.lexsort((pixels[:, 0], pixels[:, 1])):
        x, y = pixels[index]
        width = character * len(names[index])
        sides = [
            left
            for left in (x + line, x - line - width)
            if inside.x0 <= left and left + width <= inside.x1
        ] or [x + line]
        height, left = min(
            ((_free_height(placed, left, left + width, y, line), left) for left in sides),
            key=lambda place: place[0],
        )
        placed.append((height, left, left + width))
        axes.annotate(
            names[index],
            points[index],
            xytext=((left - x) / figure.dpi * 72, (height - y) / figure.dpi * 72),
            textcoords="offset points",
            fontsize=8,
            va="center",
            arrowprops=leader if height > y else None,
        )


def _free_height(
    placed: list[tuple[float, float, float]], left: float, right: float, wanted: float, line: float
) -> float:
    """The least height from `wanted` on where no name (height, left, right) is in the way."""
    height = wanted
    for taken, other_left, other_right in sorted(placed):
        if left < other_right and other_left < right and abs(height - taken) < line:
            height = taken + line
    return height
