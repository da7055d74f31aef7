"""What the embeddings cluster by, and whether the families differ in it."""

from collections.abc import Iterable

import pandas as pd

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, Drawing, Grid, PrintedTable, Section
from lossprint.reports.style import family_rank, readable
from lossprint.reports.tables import (
    NOTATION,
    interval_cells,
    losses_by,
    number,
    probability,
    property_matrix,
)
from lossprint.reports.wording import listing, p_value


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """Losses × properties."""
    by_loss = evidence["properties_by_loss"]
    if by_loss.empty:
        return
    yield Drawing(
        "properties",
        "Normalized R-Precision of each property under each loss, in standard deviations above "
        "chance, mean over runs.",
        figures.property_heatmap(
            by_loss, title="What the embeddings cluster by", significant=_significant(evidence)
        ),
        wide=True,
        grid=Grid(property_matrix(by_loss)[0], digits=1, marked_from=_significant(evidence)),
    )


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Losses × properties in the study's form."""
    if not evidence["properties_by_loss"].empty:
        yield PrintedTable(
            "normalized_r_precision",
            "Normalized R-Precision, standard deviations above chance, and its share of what an "
            "embedding would have in which every neighbour matches",
            _in_the_study_s_form(evidence),
        )
        yield PrintedTable(
            "normalized_r_precision_intervals",
            f"The same, in standard deviations; {NOTATION}",
            losses_by(interval_cells(evidence["properties_by_loss"]), "property"),
        )


def _significant(evidence: Evidence) -> float | None:
    """The study's mark on values of at least this much (2.576), None for no mark."""
    return evidence.settings.get("properties", {}).get("significant")


def _in_the_study_s_form(evidence: Evidence) -> pd.DataFrame:
    """Families grouped, each family's mean, then its test; `*` marks what is significant."""
    matrix, families = property_matrix(evidence["properties_by_loss"])
    largest = _largest(evidence)
    rows: list[dict[str, str]] = []

    def marked(name: str, value: float) -> str:
        significant = _significant(evidence)
        mark = "*" if significant is not None and value >= significant else ""
        share = f" ({value / largest[name]:.0%})" if pd.notna(value) else ""
        return f"{number(value, 2)}{mark}{share}"

    for family in sorted(set(families.values()), key=family_rank):
        members = [loss for loss in matrix.index if families[loss] == family]
        for loss in members:
            cells = {name: marked(name, matrix.loc[loss, name]) for name in matrix}
            rows.append({"family": family, "loss": loss, **cells})
        if family != "control":
            means = matrix.loc[members].mean()
            cells = {name: marked(name, means[name]) for name in matrix}
            rows.append({"family": family, "loss": f"mean of {family}", **cells})
    tests = evidence["property_families"]
    if not tests.empty:
        tests = tests.set_index("property")
        for label, column, text in (
            ("superiority of ranking", "superiority", number),
            ("p, Mann–Whitney over lineages", "p", probability),
            ("p, Holm", "p_holm", probability),
            ("p, Mann–Whitney over runs (the publication's)", "study_p", probability),
        ):
            cells = {
                name: text(tests.loc[name, column]) if name in tests.index else ""
                for name in matrix
            }
            rows.append({"family": "", "loss": label, **cells})
    return pd.DataFrame(rows)


def _largest(evidence: Evidence) -> pd.Series:
    """The most that NR-Prec can be, by property."""
    by_loss = evidence["properties_by_loss"]
    return by_loss.groupby("property", sort=False)["maximum"].first().astype(float)


def findings(evidence: Evidence) -> Iterable[Finding]:
    """What sets the families apart, and what embeddings cluster by most and least."""
    if not evidence["property_families"].empty:
        yield _families(evidence["property_families"], evidence.alpha)
    by_loss = evidence["properties_by_loss"]
    if by_loss.empty or (by_loss["family"] == "control").all():
        return
    by_loss = by_loss[by_loss["family"] != "control"]
    means = by_loss.groupby("property", sort=False)["mean"].apply(lambda x: x.astype(float).mean())
    order = means.sort_values(ascending=False)
    shares = order / _largest(evidence)
    told = [
        # Adding 0 turns a rounded minus zero into zero.
        f"{readable(str(name))} ({round(value, 1) + 0.0:.1f} σ, {round(shares[name], 2) + 0.0:.0%})"
        for name, value in order.items()
    ]
    most = f"by {listing(told)}"
    if len(told) > 3:
        most = f"most by {listing(told[:3])} and least by {told[-1]}"
    text = (
        f"Averaged over losses, embeddings cluster {most}: standard deviations above chance, and "
        "the share of the most possible."
    )
    yield Finding("properties", Verdict.OBSERVED, text, 4.5)


def _families(tests: pd.DataFrame, alpha: float) -> Finding:
    topic = "properties: families"
    # The least p must survive the correction for the number of properties.
    possible = tests[tests["smallest_p"].astype(float) * len(tests) <= alpha]
    first = tests.iloc[0]
    sizes = (
        f"{int(first['ranking_lineages'])} ranking and "
        f"{int(first['classification_lineages'])} classification lineages"
    )
    if possible.empty:
        text = (
            f"Whether the families differ in what their embeddings cluster by cannot be concluded: "
            f"with {sizes} the least p possible is {p_value(float(tests['smallest_p'].min()))}, "
            f"too large for a test of {len(tests)} properties; losses of further lineages decide "
            f"it. Their means lie furthest apart for {listing(_furthest_apart(tests)[:2])}."
        )
        return Finding(topic, Verdict.UNDECIDABLE, text, 4.0)
    hit = possible[possible["p_holm"].astype(float) <= alpha]
    if hit.empty:
        text = (
            f"No property was shown to differ between the families ({sizes}; least p after Holm's "
            f"correction over {len(tests)} properties: {p_value(float(tests['p_holm'].min()))}). "
            "Nothing can be concluded about what sets the families apart."
        )
        return Finding(topic, Verdict.NOT_SHOWN, text, 4.0)
    text = (
        f"The families cluster by different properties: {len(hit)} of {len(tests)} differ after "
        f"Holm's correction, p = {p_value(float(hit['p_holm'].max()))} or less, most "
        f"{listing(_furthest_apart(hit)[:4])}."
    )
    return Finding(topic, Verdict.DIFFERENT, text, 7.0)


def _furthest_apart(tests: pd.DataFrame) -> list[str]:
    """Properties with the families' means, the largest difference first."""
    order = tests["difference"].astype(float).abs().sort_values(ascending=False).index
    return [
        f"{readable(row['property'])} ({row['ranking_mean']:.1f} σ ranking, "
        f"{row['classification_mean']:.1f} σ classification)"
        for _, row in tests.loc[order].iterrows()
    ]


def columns(evidence: Evidence) -> Iterable[Column]:
    """The property that a loss clusters by most, and on its card the three strongest."""
    if evidence["properties_by_loss"].empty:
        return
    matrix, _ = property_matrix(evidence["properties_by_loss"])
    yield Column("strongest property", matrix.idxmax(axis="columns").to_dict())
    strongest = {
        loss: ", ".join(f"{readable(name)} ({value:.1f} σ)" for name, value in row.items())
        for loss in matrix.index
        if len(row := matrix.loc[loss].nlargest(3))
    }
    yield Column("clusters most by", strongest, on_card=True)


def run_metrics(evidence: Evidence, run: str) -> dict[str, float]:
    """The run's normalized R-Precision of every property."""
    table = evidence["properties"]
    own = table if table.empty else table[table["run"] == run]
    return {f"nr/{row['property']}": float(row["value"]) for _, row in own.iterrows()}


SECTION = Section(
    "properties",
    "What the embeddings cluster by",
    drawings=drawings,
    tables=tables,
    findings=findings,
    columns=columns,
    run_metrics=run_metrics,
    methods={
        "Clustering": "Normalized R-Precision (Kobs et al., ICCV 2021). Its standard deviations "
        "grow with the number of images, its share of the maximum does not. Intervals over images "
        "from leaving out a design at a time, or one of 20 groups of images.",
        "Families by property": "Mann–Whitney U over the means of lineages, close variants of one "
        "loss, Holm-corrected over the properties; the publication's own test takes every run as "
        "independent.",
    },
)
