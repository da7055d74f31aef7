"""How the embeddings of each loss lie in their space, and which networks are collapsed."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.findings import Finding, Verdict
from lossprint.reports.section import Column, PrintedTable, Section
from lossprint.reports.style import by_family
from lossprint.reports.tables import number
from lossprint.reports.wording import listing

_COLUMNS = {
    "effective_rank": "effective rank",
    "mean_length": "length of the mean",
    "uniformity": "uniformity",
    "alignment": "alignment within classes",
    "class_separation": "class separation",
}


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """Means over the runs of each loss."""
    geometry = evidence["geometry"]
    if geometry.empty:
        return
    families = dict(zip(geometry["loss"], geometry["family"], strict=True))
    means = geometry.groupby("loss")[[*_COLUMNS]].mean().loc[by_family(families, families)]
    shown = means.map(lambda value: number(value, 3)).rename(columns=_COLUMNS)
    yield PrintedTable(
        "embedding_geometry",
        "Geometry of L2-normalized embeddings, means over runs: directions in use, 0 to 1 from "
        "spread to all in one direction, lower the more spread, 0 where each class is a point, 1 "
        "where classes are points apart",
        shown.reset_index(),
    )


def findings(evidence: Evidence) -> Iterable[Finding]:
    """Which networks are collapsed."""
    geometry = evidence["geometry"]
    if geometry.empty or not geometry["collapsed"].any():
        return
    trained = geometry[geometry["family"] != "control"]
    narrow = trained[trained["collapsed"].astype(bool)]
    if narrow.empty:
        return
    rank, length = narrow["effective_rank"], narrow["mean_length"]
    text = (
        f"{len(narrow)} of {len(trained)} trained networks are collapsed, their embeddings using "
        f"{rank.min():.1f} to {rank.max():.1f} directions about a mean {length.min():.2f} to "
        f"{length.max():.2f} long: {listing(narrow['run'])}. Comparing such embeddings says "
        "little; they take no part in the contrasts."
    )
    yield Finding("collapsed networks", Verdict.OBSERVED, text, 9.0)


def columns(evidence: Evidence) -> Iterable[Column]:
    """The effective rank."""
    geometry = evidence["geometry"]
    if not geometry.empty:
        values = geometry.groupby("loss")["effective_rank"].mean().to_dict()
        yield Column("effective rank of the embedding", values, "rank")


SECTION = Section(
    "geometry",
    "How embeddings lie in their space",
    tables=tables,
    findings=findings,
    columns=columns,
    methods={
        "Geometry of embeddings": "Effective rank: exp of the entropy of the covariance's "
        "eigenvalues (Roy & Vetterli, EUSIPCO 2007); uniformity and alignment: Wang & Isola, ICML "
        "2020; class separation: Kornblith et al., NeurIPS 2021. Collapsed: an effective rank "
        "below 2, or a mean vector longer than 0.95.",
    },
)
