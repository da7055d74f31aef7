"""Tidy tables to the shapes that a paper prints."""

import numpy as np
import pandas as pd

from lossprint.reports.style import by_family

RELATIONS = ("same loss", "same family", "between families", "control")


def pair_relation(pairs: pd.DataFrame) -> pd.Series:
    """Say for each pair what it shares: one of `RELATIONS`.

    A pair with a control on either side is "control", also when both sides are controls.
    """
    control = (pairs["family_a"] == "control") | (pairs["family_b"] == "control")
    same_loss = pairs["loss_a"] == pairs["loss_b"]
    same_family = pairs["family_a"] == pairs["family_b"]
    names = np.select([control, same_loss, same_family], ["control", *RELATIONS[:2]], RELATIONS[2])
    return pd.Series(names, index=pairs.index, name="relation")


def loss_matrix(by_loss: pd.DataFrame, measure: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return losses × losses as a symmetric square frame, and each loss's family.

    A missing pair, also of a loss with itself, is NaN.

    Raises:
        ValueError: `measure` is not a column.
    """
    if measure not in by_loss.columns:
        raise ValueError(f"no measure {measure!r}; there are {', '.join(by_loss.columns)}")
    families: dict[str, str] = {}
    for side in "ab":
        families.update(zip(by_loss[f"loss_{side}"], by_loss[f"family_{side}"], strict=True))
    losses = by_family(families, families)
    place = {loss: row for row, loss in enumerate(losses)}
    a, b = (by_loss[side].map(place).to_numpy(int) for side in ("loss_a", "loss_b"))
    matrix = np.full((len(losses), len(losses)), np.nan)
    matrix[a, b] = matrix[b, a] = by_loss[measure].to_numpy(float)
    return pd.DataFrame(matrix, index=losses, columns=losses), families


def property_matrix(by_loss: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return losses × properties (mean over runs) and each loss's family."""
    families = dict(zip(by_loss["loss"], by_loss["family"], strict=True))
    matrix = by_loss.pivot(index="loss", columns="property", values="mean").astype(float)
    columns = list(dict.fromkeys(by_loss["property"]))
    return matrix.loc[by_family(families, families), columns], families


def pair_table(
    by_loss: pd.DataFrame, measure: str, *, spread: str | None = None, interval: bool = False
) -> pd.DataFrame:
    """Losses × losses as text, families grouped.

    Args:
        spread: a column, for `value ± spread`.
        interval: whether to print `value (low to high)`, the interval over images.
    """
    matrix, _ = loss_matrix(by_loss, measure)
    text = matrix.map(number)
    if interval:
        low, high = (loss_matrix(by_loss, side)[0] for side in ("image_low", "image_high"))
        text = text.where(
            low.isna(), text + " (" + low.map(number) + " to " + high.map(number) + ")"
        )
    if spread is not None:
        spreads, _ = loss_matrix(by_loss, spread)
        text = text.where(spreads.isna(), text + " ± " + spreads.map(number))
    return text.rename_axis(index="loss").reset_index()


NOTATION = (
    "[…]: 95 % interval over runs and images, from three runs on; (…): over images alone, of these "
    "very runs, where there are fewer"
)


def interval_cells(by_loss: pd.DataFrame) -> pd.DataFrame:
    """Add a column `cell`: the mean with its interval, as text.

    Without an interval over runs it is that over images, where there is one: see `NOTATION`.
    """
    names = ("mean", "low", "high", "image_low", "image_high")
    values = by_loss.reindex(columns=list(names)).astype(float).to_numpy()
    return by_loss.assign(cell=[_cell(*row) for row in values])


def _cell(mean: float, low: float, high: float, image_low: float, image_high: float) -> str:
    if np.isfinite([low, high]).all():
        return with_interval(mean, low, high)
    return with_image_interval(mean, image_low, image_high)


def losses_by(cells: pd.DataFrame, columns: str) -> pd.DataFrame:
    """Losses × the values of a column, families grouped: `loss`, `family` and the cells.

    Args:
        cells: `loss, family, cell` and the column, see `interval_cells`.
        columns: the column.
    """
    families = dict(zip(cells["loss"], cells["family"], strict=True))
    wide = cells.pivot(index="loss", columns=columns, values="cell")
    wide = wide.loc[by_family(families, families), list(dict.fromkeys(cells[columns]))]
    wide.insert(0, "family", [families[loss] for loss in wide.index])
    return wide.reset_index().rename_axis(columns=None)


def with_interval(mean: float, low: float, high: float, digits: int = 3) -> str:
    """`mean [low, high]`, or the mean alone where there is no interval."""
    if not np.isfinite([low, high]).all():
        return number(mean, digits)
    return f"{number(mean, digits)} [{number(low, digits)}, {number(high, digits)}]"


def with_image_interval(mean: float, low: float, high: float) -> str:
    """`mean (low to high)`, or the mean alone where there is no interval."""
    if not np.isfinite([low, high]).all():
        return number(mean, 3)
    return f"{number(mean, 3)} ({number(low, 3)} to {number(high, 3)})"


def probability(value: float) -> str:
    """Four decimals, or that it is below 0.0001; empty for a missing value."""
    return "< 0.0001" if value < 1e-4 else number(value, 4)


def number(value: float, digits: int = 2) -> str:
    """With a fixed number of decimals; empty for a missing value."""
    return f"{value:.{digits}f}" if pd.notna(value) else ""
