"""How alike losses arrange the same images."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.pair_drawings import likeness_drawings
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.tables import pair_table


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """CKA by family, clustered, and as a map of losses."""
    return likeness_drawings(evidence, "similarity_by_loss", "cka", noun="embedding", called="CKA")


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """CKA and neighbour overlap of every two losses."""
    by_loss = evidence["similarity_by_loss"]
    if by_loss.empty:
        return
    caption = (
        "Linear CKA of embeddings, debiased: 0 on average where they have nothing in common; with "
        "its 95 % interval over images, of these very runs"
    )
    yield PrintedTable("embedding_cka", caption, pair_table(by_loss, "cka", interval=True))
    chance = float(by_loss["chance"].iloc[0])
    yield PrintedTable(
        "neighbor_overlap",
        f"Overlap of nearest neighbours; chance is {chance:.3f}",
        pair_table(by_loss, "neighbor_overlap"),
    )


SECTION = Section(
    "embeddings",
    "Embeddings",
    drawings=drawings,
    tables=tables,
    methods={
        "CKA": "Linear, of L2-normalized embeddings, with the unbiased HSIC of Song et al. (JMLR "
        "2012): independent embeddings give 0 on average, whatever their dimension. Intervals "
        "over images from leaving out a design at a time, or one of 20 groups of images."
    },
)
