"""How well the saliency maps of losses agree."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.pair_drawings import likeness_drawings
from lossprint.reports.section import Column, Drawing, PrintedTable, Section
from lossprint.reports.style import readable
from lossprint.reports.tables import loss_matrix, pair_table


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """Correlation by family, clustered, and as a map of losses."""
    return likeness_drawings(
        evidence, "agreement_by_loss", "correlation", noun="map", called="correlation"
    )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Correlation and divergence of every two losses."""
    by_loss = evidence["agreement_by_loss"]
    if by_loss.empty:
        return
    yield PrintedTable(
        "map_correlation",
        "Correlation of saliency maps: Fisher mean ± spread over images (tanh of the standard "
        "deviation of z); the diagonal compares runs of one loss",
        pair_table(by_loss, "correlation", spread="spread"),
    )
    yield PrintedTable(
        "map_correlation_over_images",
        "The same with its 95 % interval over images, of these very runs; renders of one design "
        "are no independent images",
        pair_table(by_loss, "correlation", interval=True),
    )
    yield PrintedTable(
        "map_divergence",
        "Jensen–Shannon divergence of saliency maps (natural log)",
        pair_table(by_loss, "divergence"),
    )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """The pairs that agree least and most, and how untrained networks agree with trained ones."""
    by_loss = evidence["agreement_by_loss"]
    if by_loss.empty:
        return
    corrected = evidence["corrected_by_loss"]
    known = not corrected.empty and bool(corrected["correlation"].notna().all())
    yield from _extreme_pairs(corrected if known else by_loss, "ρ" if known else "r")
    matrix, families = loss_matrix(by_loss, "correlation")
    controls = [loss for loss in matrix if families[loss] == "control"]
    trained = [loss for loss in matrix if families[loss] != "control"]
    for control in controls:
        values = matrix.loc[control, trained].dropna()
        if values.empty:
            continue
        text = (
            f"The maps of the {readable(control)} network already agree with those of trained "
            f"losses at r = {values.mean():.2f} on average "
            f"({values.min():.2f} {readable(str(values.idxmin()))} to "
            f"{values.max():.2f} {readable(str(values.idxmax()))})."
        )
        yield Finding("control", Verdict.OBSERVED, text, 4.1)


def _extreme_pairs(by_loss: pd.DataFrame, name: str) -> Iterable[Finding]:
    between = by_loss[
        (by_loss["loss_a"] != by_loss["loss_b"])
        & (by_loss["family_a"] != "control")
        & (by_loss["family_b"] != "control")
    ].dropna(subset=["correlation"])
    if len(between) < 2:
        return
    value = between["correlation"].astype(float)
    least, most = between.loc[value.idxmin()], between.loc[value.idxmax()]
    text = (
        f"The maps of {_pair(least)} agree least ({name} = {_likeness(least)}), those of "
        f"{_pair(most)} most ({name} = {_likeness(most)})."
    )
    yield Finding("saliency maps: pairs", Verdict.OBSERVED, text, 4.2)


def _likeness(row: pd.Series) -> str:
    text = f"{row['correlation']:.2f}"
    if np.isfinite([row.get("image_low", np.nan), row.get("image_high", np.nan)]).all():
        text += f", {row['image_low']:.2f} to {row['image_high']:.2f} over images"
    return text


def _pair(row: pd.Series) -> str:
    return f"{readable(row['loss_a'])} and {readable(row['loss_b'])}"


def columns(evidence: Evidence) -> Iterable[Column]:
    """Mean agreement of a loss with the other trained losses, and between its own runs."""
    others, own = _by_loss(evidence)
    if others:
        yield Column("map agreement with other losses", others, "maps, others")
        yield Column("map agreement between its runs", own, "maps, itself")
        yield Column("maps agree most with", _closest(evidence), on_card=True)


def _closest(evidence: Evidence) -> dict[str, str]:
    """The three other losses whose maps correlate most with those of each loss."""
    matrix, _ = loss_matrix(evidence["agreement_by_loss"], "correlation")
    found = {}
    for loss in matrix:
        others = matrix[loss].drop(loss).dropna().nlargest(3)
        found[loss] = ", ".join(f"{readable(x)} (r = {r:.2f})" for x, r in others.items())
    return found


def run_metrics(evidence: Evidence, run: str) -> dict[str, float]:
    """The same two of the run's loss."""
    others, own = _by_loss(evidence)
    runs = evidence["runs"]
    loss = runs.loc[runs["run"] == run, "loss"].item()
    found = {"agreement/others": others.get(loss), "agreement/seeds": own.get(loss)}
    return {key: value for key, value in found.items() if value is not None and np.isfinite(value)}


def _by_loss(evidence: Evidence) -> tuple[dict[str, float], dict[str, float]]:
    by_loss = evidence["agreement_by_loss"]
    if by_loss.empty:
        return {}, {}
    matrix, families = loss_matrix(by_loss, "correlation")
    trained = [loss for loss in matrix if families[loss] != "control"]
    others = {
        loss: float(matrix.loc[loss, [other for other in trained if other != loss]].mean())
        for loss in matrix
    }
    return others, dict(zip(matrix, np.diag(matrix).tolist(), strict=True))


SECTION = Section(
    "maps",
    "Saliency maps",
    drawings=drawings,
    tables=tables,
    findings=findings,
    columns=columns,
    run_metrics=run_metrics,
    methods={
        "Saliency maps": "SmoothGrad of the distance to a black image; agreement by Pearson "
        "correlation, averaged through Fisher's z, and Jensen–Shannon divergence (Kobs et al., "
        "ICCV 2021). The noise of the maps is shared by all networks.",
    },
)
