"""The pieces of evidence of a comparison, in the order of the page: see CONTRIBUTING.md."""

from dataclasses import dataclass
from importlib import import_module

from lossprint.reports.section import Section
from lossprint.studies.study import Piece


@dataclass(frozen=True)
class PieceOfEvidence:
    """What is computed, and how the report shows it.

    Attributes:
        study: makes the tables.
        section: of the page.
    """

    study: Piece
    section: Section


def _built_in(name: str) -> PieceOfEvidence:
    """`lossprint.studies.<name>` with the `SECTION` of `lossprint.reports.sections.<name>`."""
    section = import_module(f"lossprint.reports.sections.{name}").SECTION
    return PieceOfEvidence(import_module(f"lossprint.studies.{name}"), section)


EVIDENCE = tuple(
    _built_in(name)
    for name in (
        "runs",
        "ladder",
        "contrasts",
        "explorer",
        "atlas",
        "map_agreement",
        "explainers",
        "faithfulness",
        "saliency_shares",
        "galleries",
        "property_clustering",
        "interventions",
        "region_effects",
        "embedding_similarity",
        "embedding_geometry",
        "stages",
        "differences",
        "retrieval",
        "matched_retrieval",
        "training_curves",
    )
)
