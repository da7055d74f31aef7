"""What moves the embeddings: scenes re-rendered with one property changed."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import PrintedTable, Section
from lossprint.reports.style import readable
from lossprint.reports.tables import NOTATION, interval_cells, losses_by
from lossprint.reports.wording import listing

_CAPTIONS = {
    "unrelated scenes": "Distance the embedding moves when one property changes, relative to the "
    "distance of unrelated pictures",
    "two designs": "The same, relative to the distance that another car in the same scene makes",
}


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Losses × properties, for each distance that displacements are compared with."""
    table = evidence["interventions_by_loss"]
    if table.empty:
        return
    for reference, rows in table.groupby("reference", sort=False):
        yield PrintedTable(
            f"interventions_against_{str(reference).replace(' ', '_')}",
            f"{_CAPTIONS[str(reference)]}; {NOTATION.replace('images', 'scenes')}",
            losses_by(interval_cells(rows), "property"),
        )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """What moves the embedding most and least."""
    table = evidence["interventions_by_loss"]
    if table.empty:
        return
    means = table[table["family"] != "control"].assign(mean=lambda x: x["mean"].astype(float))
    means = means.dropna(subset="mean")
    if means.empty:
        return
    means = means.groupby(["property", "reference"])["mean"].mean().unstack()
    order = means["unrelated scenes"].sort_values(ascending=False)
    text = (
        f"Changing only {readable(str(order.index[0]))} moves the embedding most "
        f"({order.iloc[0]:.0%} of the distance between unrelated pictures)"
    )
    if len(order) > 1:
        text += f", changing only {readable(str(order.index[-1]))} least ({order.iloc[-1]:.0%})"
    if "two designs" in means:
        others = means["two designs"].drop("model")
        more = [readable(str(name)) for name in others.index[others > 1]]
        text += (
            f". Another car moves it less than does another {listing(more)}"
            if more
            else ". Nothing moves it more than another car"
        )
    yield Finding("interventions", Verdict.OBSERVED, text + ".", 4.3)


SECTION = Section(
    "interventions",
    "What moves the embeddings",
    tables=tables,
    findings=findings,
    methods={
        "Intervals over scenes": "From leaving out the scenes of one design at a time, or one of "
        "20 groups of them."
    },
)
