"""How well losses retrieve images of unseen classes."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, PrintedTable, Section
from lossprint.reports.sections.contrasts import LEADING
from lossprint.reports.style import readable
from lossprint.reports.tables import interval_cells, number, probability
from lossprint.reports.wording import listing, p_value

_TERMINAL = {"map_at_r": "MAP@R", "precision_at_1": "P@1"}


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """One row per loss, the best first."""
    by_loss = evidence["retrieval_by_loss"]
    if not by_loss.empty:
        caption = "Retrieval: mean over runs [95 % interval, from three runs on], best loss first"
        yield PrintedTable("retrieval", caption, _best_first(by_loss))
    relation = evidence["retrieval_relation"]
    if not relation.empty:
        rows = [
            {
                "likeness of two losses": f"{LEADING[row['measure']][0]}, by {_called(row)}",
                "losses": str(row["losses"]),
                "rank correlation": number(row["rank_correlation"]),
                "p": probability(row["p"]),
                "least p possible": probability(row["smallest_p"]),
            }
            for _, row in relation.iterrows()
        ]
        yield PrintedTable(
            "likeness_and_retrieval",
            "How the likeness of two losses goes with the difference of their MAP@R: Spearman's "
            "rank correlation over pairs, negative where those that retrieve differently are less "
            "alike; p from permuting MAP@R among losses",
            pd.DataFrame(rows),
        )


def _called(row: pd.Series) -> str:
    return "ρ" if row["rho"] else LEADING[row["measure"]][1]


def _best_first(by_loss: pd.DataFrame) -> pd.DataFrame:
    cells = interval_cells(by_loss)
    wide = cells.pivot(index=["loss", "family"], columns="metric", values="cell")
    wide = wide[list(dict.fromkeys(by_loss["metric"]))].fillna("")  # not every loss has all
    first = by_loss[by_loss["metric"] == wide.columns[0]].set_index(["loss", "family"])["mean"]
    wide.insert(0, "runs", by_loss.groupby(["loss", "family"])["runs"].max())
    order = first.astype(float).sort_values(ascending=False).index
    return wide.loc[order].reset_index().rename_axis(columns=None)


def findings(evidence: Evidence) -> Iterable[Finding]:
    """The best and the last loss by the first metric, and whether retrieval explains likeness."""
    yield from _confounded(evidence)
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


def _confounded(evidence: Evidence) -> Iterable[Finding]:
    relation = evidence["retrieval_relation"]
    if relation.empty:
        return
    telling = relation[relation["p"].astype(float) <= evidence.alpha]
    if telling.empty:
        return
    sizes = listing(
        f"{row['rank_correlation']:.2f} for {LEADING[row['measure']][0]} (p = {p_value(row['p'])})"
        for _, row in telling.iterrows()
    )
    text = (
        "Beware: losses that retrieve differently are less alike. The rank correlation of likeness "
        f"with the difference in MAP@R is {sizes}. What sets losses apart may be how much they "
        "learned, not what."
    )
    if evidence["matched_contrasts"].empty:
        text += (
            " analyze.py match=val/map_at_r compares runs at equal retrieval that were trained "
            "with keep_levels=5."
        )
    yield Finding("retrieval as a confounder", Verdict.OBSERVED, text, 9.5)


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
    methods={
        "Intervals of a loss": "95 %: Student's t over its runs, from three on. "
        "Where images are a sample too, the variances of both are added; renders of one design "
        "count as one image. Intervals of shares, retrieval among them, are made of their "
        "logit, those of distances of their logarithm: none leaves what is possible."
    },
)
