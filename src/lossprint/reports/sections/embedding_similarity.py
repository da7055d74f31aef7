"""How alike losses arrange the same images."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.pair_drawings import pair_drawings
from lossprint.reports.section import Drawing, PrintedTable, Section
from lossprint.reports.tables import pair_table


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """CKA by family, clustered, and as a map of losses."""
    return pair_drawings(evidence["similarity_by_loss"], "cka", noun="embedding", called="CKA")


def tables(evidence: Evidence) -> Iterable[PrintedTable]:
    """CKA and neighbour overlap of every two losses."""
    by_loss = evidence["similarity_by_loss"]
    if by_loss.empty:
        return
    yield PrintedTable("embedding_cka", "Linear CKA of embeddings", pair_table(by_loss, "cka"))
    yield PrintedTable(
        "neighbor_overlap", "Overlap of nearest neighbours", pair_table(by_loss, "neighbor_overlap")
    )


SECTION = Section("embeddings", "Embeddings", drawings=drawings, tables=tables)
