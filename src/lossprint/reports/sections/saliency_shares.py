"""Where the maps lie: how much of the saliency is on each region."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, Drawing, PrintedTable, Section
from lossprint.reports.style import loss_colors, readable
from lossprint.reports.tables import NOTATION, interval_cells, losses_by, number


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """The share on each region beside the region's share of the area."""
    shares = evidence["shares_by_loss"]
    if shares.empty:
        return
    yield Drawing(
        "saliency_shares",
        "Share of saliency on each region with its 95 % interval over runs and images, or each "
        "run's own where there are fewer than three; dashed: the share of the area, which maps "
        "without preference would have.",
        figures.region_shares(
            shares,
            evidence["shares"],
            title="Where the maps lie",
            colors=loss_colors(evidence.families),
        ),
        wide=True,
    )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Losses × regions; the last row is the share of the area."""
    shares = evidence["shares_by_loss"]
    if shares.empty:
        return
    wide = losses_by(interval_cells(shares), "region")
    area = shares.assign(area=shares["area"].astype(float)).groupby("region")["area"].mean()
    chance = {region: number(share, 3) for region, share in area.items()}
    last = pd.DataFrame([{"loss": "share of the area", "family": "", **chance}])
    yield PrintedTable(
        "saliency_shares",
        f"Share of saliency by region; {NOTATION}",
        pd.concat([wide, last], ignore_index=True),
    )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """How much of the saliency the car holds."""
    car = _car(evidence)
    if car.empty:
        return
    means, area = car["mean"].astype(float), float(car["area"].astype(float).mean())
    low, high = car.loc[means.idxmin()], car.loc[means.idxmax()]
    text = f"The car fills {area:.0%} of the pictures and holds {means.mean():.0%} of the saliency"
    if len(car) > 1:
        text += (
            f", from {low['mean']:.0%} ({readable(low['loss'])}) to {high['mean']:.0%} "
            f"({readable(high['loss'])})"
        )
    yield Finding("where the maps lie", Verdict.OBSERVED, text + ".", 4.0)


def columns(evidence: Evidence) -> Iterable[Column]:
    """The share on the car."""
    car = _car(evidence, controls=True)
    if not car.empty:
        values = car.set_index("loss")["mean"].astype(float).to_dict()
        yield Column("saliency on car", values, "on car")


def _car(evidence: Evidence, *, controls: bool = False) -> pd.DataFrame:
    shares = evidence["shares_by_loss"]
    if shares.empty:
        return shares
    return shares[(shares["region"] == "car") & (controls | (shares["family"] != "control"))]


SECTION = Section(
    "regions",
    "Where the maps lie",
    drawings=drawings,
    tables=tables,
    findings=findings,
    columns=columns,
)
