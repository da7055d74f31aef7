"""Losses × losses and losses × properties as annotated heatmaps."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram, leaves_list, linkage
from scipy.spatial.distance import squareform

from lossprint.reports.style import (
    FAMILY_COLORS,
    FAMILY_GLYPHS,
    MATPLOTLIB,
    SEQUENTIAL,
    by_family,
    family_rank,
    ink,
    readable,
)
from lossprint.reports.tables import loss_matrix, property_matrix


def pairs_by_family(by_loss: pd.DataFrame, measure: str, *, title: str) -> Figure:
    """Draw a losses × losses table, losses grouped by family.

    Args:
        by_loss: `agreement_by_loss` or `similarity_by_loss`.
        measure: the column to draw.
        title: the figure's title.

    The diagonal compares runs of the same loss: it is the noise floor, and empty (hatched) where
    a loss was trained once.
    """
    matrix, families = loss_matrix(by_loss, measure)
    losses = by_family(matrix.index, families)
    with matplotlib.rc_context(MATPLOTLIB):
        figure = Figure(figsize=_square(len(losses)), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, matrix.loc[losses, losses], figure, label=readable(measure))
        _mark_families(axes, losses, families)
        axes.set_title(title, loc="left")
    return figure


def clustered_pairs(by_loss: pd.DataFrame, measure: str, *, title: str) -> Figure:
    """Draw a losses × losses table ordered by average-linkage clustering, with its dendrogram.

    The distance between two losses is 1 − measure; the diagonal takes no part.

    Raises:
        ValueError: fewer than three losses, or a pair without a value.
    """
    matrix, families = loss_matrix(by_loss, measure)
    tree = _tree(matrix)
    with matplotlib.rc_context(MATPLOTLIB):
        width, height = _square(len(matrix))
        figure = Figure(figsize=(width, height + 1.2), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=[1.2, height], sharex=False)
        order = dendrogram(
            tree, ax=top, color_threshold=0, above_threshold_color="#444444", no_labels=True
        )["leaves"]
        losses = [matrix.index[position] for position in order]
        top.set_ylabel(f"1 − {readable(measure)}")
        top.set_title(title, loc="left")
        top.spines["bottom"].set_visible(False)
        _draw(bottom, matrix.loc[losses, losses], figure, label=readable(measure))
        _mark_families(bottom, losses, families)
    return figure


def clustered_order(matrix: pd.DataFrame) -> list[str]:
    """The losses of a losses × losses table in the order of `clustered_pairs`."""
    return [matrix.index[position] for position in leaves_list(_tree(matrix))]


def _tree(matrix: pd.DataFrame) -> np.ndarray:
    if len(matrix) < 3:
        raise ValueError(f"clustering needs at least 3 losses, got {len(matrix)}")
    distance = 1.0 - matrix.to_numpy(dtype=float)
    np.fill_diagonal(distance, 0.0)
    if not np.isfinite(distance).all():
        raise ValueError("clustering needs a value for every pair of losses")
    return linkage(squareform(np.maximum(distance, 0.0), checks=False), method="average")


def property_heatmap(
    by_loss: pd.DataFrame, *, title: str, significant: float | None = None
) -> Figure:
    """Draw losses × properties, normalized R-Precision, families grouped.

    Args:
        by_loss: `properties_by_loss`.
        title: the figure's title.
        significant: the study's mark: values of at least this much are in bold with a star.
    """
    matrix, families = property_matrix(by_loss)
    losses = by_family(matrix.index, families)
    with matplotlib.rc_context(MATPLOTLIB):
        size = (2.6 + 0.72 * len(matrix.columns), 1.8 + 0.32 * len(losses))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        _draw(
            axes,
            matrix.loc[losses],
            figure,
            label="normalized R-Precision (σ above chance)",
            digits=1,
            significant=significant,
        )
        _mark_families(axes, losses, families, columns=False)
        axes.set_title(title, loc="left")
    return figure


def _square(losses: int) -> tuple[float, float]:
    side = 2.6 + 0.46 * losses
    return side + 0.6, side


def _draw(
    axes: Axes,
    matrix: pd.DataFrame,
    figure: Figure,
    *,
    label: str,
    digits: int = 2,
    significant: float | None = None,
) -> None:
    values = matrix.to_numpy(dtype=float)
    shown = np.ma.masked_invalid(values)
    colors = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad="#eeeeee")
    image = axes.imshow(shown, cmap=colors, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        if not np.isfinite(value):
            axes.text(column, row, "–", ha="center", va="center", color="#555555")
            continue
        marked = significant is not None and value >= significant
        axes.text(
            column,
            row,
            f"{value:.{digits}f}" + ("*" if marked else ""),
            ha="center",
            va="center",
            fontsize=7,
            fontweight="bold" if marked else "normal",
            color=ink(image.cmap(image.norm(value))),
        )
    axes.set_xticks(
        range(len(matrix.columns)), [readable(name) for name in matrix.columns], rotation=40
    )
    for tick in axes.get_xticklabels():
        tick.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(matrix.index)), [readable(name) for name in matrix.index])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=label, fraction=0.04, pad=0.02)


def _mark_families(
    axes: Axes, losses: list[str], families: Mapping[str, str], *, columns: bool = True
) -> None:
    """Colour each label by its family, add its marker, and rule between families."""
    sides = [axes.get_yticklabels(), *([axes.get_xticklabels()] if columns else [])]
    for labels in sides:
        for label, loss in zip(labels, losses, strict=True):
            label.set_color(FAMILY_COLORS.get(families[loss], "black"))
    axes.set_yticklabels([f"{readable(x)} {FAMILY_GLYPHS.get(families[x], '✖')}" for x in losses])
    ranks = [family_rank(families[loss]) for loss in losses]
    if ranks != sorted(ranks):
        return
    for position in np.flatnonzero(np.diff(ranks)):
        axes.axhline(position + 0.5, color="white", linewidth=2.5)
        if columns:
            axes.axvline(position + 0.5, color="white", linewidth=2.5)
