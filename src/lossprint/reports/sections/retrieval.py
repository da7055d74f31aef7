"""How well losses retrieve images of unseen classes."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, PrintedTable, Section
from lossprint.reports.style import readable
from lossprint.reports.tables import interval_cells

_TERMINAL = {"map_at_r": "MAP@R", "precision_at_1": "P@1"}


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """One row per loss, the best first."""
    by_loss = evidence["retrieval_by_loss"]
    if not by_loss.empty:
        caption = "Retrieval: mean over runs [95 % interval], best loss first"
        yield PrintedTable("retrieval", caption, _best_first(by_loss))


def _best_first(by_loss: pd.DataFrame) -> pd.DataFrame:
    cells = interval_cells(by_loss)
    wide = cells.pivot(index=["loss", "family"], columns="metric", values="cell")
    wide = wide[list(dict.fromkeys(by_loss["metric"]))].fillna("")  # not every loss has all
    first = by_loss[by_loss["metric"] == wide.columns[0]].set_index(["loss", "family"])["mean"]
    wide.insert(0, "runs", by_loss.groupby(["loss", "family"])["runs"].max())
    order = first.astype(float).sort_values(ascending=False).index
    return wide.loc[order].reset_index().rename_axis(columns=None)


def findings(evidence: Evidence) -> Iterable[Finding]:
    """The best and the last loss by the first metric."""
    by_loss = evidence["retrieval_by_loss"]
    if by_loss.empty:
        return
    table = by_loss[by_loss["family"] != "control"]
    metric = table["metric"].iloc[0] if len(table) else ""
    chosen = table[table["metric"] == metric].assign(mean=lambda x: x["mean"].astype(float))
    if len(chosen) < 2:
        return
    best, worst = chosen.loc[chosen["mean"].idxmax()], chosen.loc[chosen["mean"].idxmin()]
    text = (
        f"Retrieval ({readable(metric)}): {readable(best['loss'])} is best at {best['mean']:.3f}, "
        f"{readable(worst['loss'])} last at {worst['mean']:.3f}."
    )
    yield Finding("retrieval", Verdict.OBSERVED, text, 4.4)


def columns(evidence: Evidence) -> Iterable[Column]:
    """One column per metric."""
    by_loss = evidence["retrieval_by_loss"]
    if by_loss.empty:
        return
    for metric, rows in by_loss.groupby("metric", sort=False):
        values = rows.set_index("loss")["mean"].astype(float).to_dict()
        short = _TERMINAL.get(str(metric))
        yield Column(str(metric), values, short, on_card=short is None)


SECTION = Section(
    "retrieval",
    "Retrieval",
    tables=tables,
    findings=findings,
    columns=columns,
    methods={"Intervals of a loss": "95 %, Student's t over its runs."},
)
