"""Pure numbers: retrieval, what an embedding clusters by, and statistics over runs.

A name's module is imported when the name is asked for: PyTorch, which some of them need, takes half
a gigabyte, and NR-Prec of NumPy arrays does without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossprint.metrics.between_families import FamilyContrast, family_contrast
    from lossprint.metrics.between_losses import LossContrast, loss_contrast
    from lossprint.metrics.cka import debiased_cka, debiased_cka_matrix
    from lossprint.metrics.concatenation import concatenated
    from lossprint.metrics.fisher import fisher_mean, fisher_std
    from lossprint.metrics.geometry import EmbeddingGeometry, embedding_geometry
    from lossprint.metrics.intervals import (
        Interval,
        image_groups,
        jackknife_values,
        mean_over_images,
        mean_over_runs_and_images,
    )
    from lossprint.metrics.likeness import training_corrected, unusable_runs
    from lossprint.metrics.mantel import RankRelation, likeness_against_difference
    from lossprint.metrics.properties import (
        PropertyPrecision,
        normalized_r_precision,
        normalized_r_precision_maximum,
        property_precision,
    )
    from lossprint.metrics.retrieval import retrieval_metrics

__all__ = [
    "EmbeddingGeometry",
    "FamilyContrast",
    "Interval",
    "LossContrast",
    "PropertyPrecision",
    "RankRelation",
    "concatenated",
    "debiased_cka",
    "debiased_cka_matrix",
    "embedding_geometry",
    "family_contrast",
    "fisher_mean",
    "fisher_std",
    "image_groups",
    "jackknife_values",
    "likeness_against_difference",
    "loss_contrast",
    "mean_over_images",
    "mean_over_runs_and_images",
    "normalized_r_precision",
    "normalized_r_precision_maximum",
    "property_precision",
    "retrieval_metrics",
    "training_corrected",
    "unusable_runs",
]

_HOMES = {
    "EmbeddingGeometry": "geometry",
    "FamilyContrast": "between_families",
    "Interval": "intervals",
    "LossContrast": "between_losses",
    "PropertyPrecision": "properties",
    "RankRelation": "mantel",
    "concatenated": "concatenation",
    "debiased_cka": "cka",
    "debiased_cka_matrix": "cka",
    "embedding_geometry": "geometry",
    "family_contrast": "between_families",
    "fisher_mean": "fisher",
    "fisher_std": "fisher",
    "image_groups": "intervals",
    "jackknife_values": "intervals",
    "likeness_against_difference": "mantel",
    "loss_contrast": "between_losses",
    "mean_over_images": "intervals",
    "mean_over_runs_and_images": "intervals",
    "normalized_r_precision": "properties",
    "normalized_r_precision_maximum": "properties",
    "property_precision": "properties",
    "retrieval_metrics": "retrieval",
    "training_corrected": "likeness",
    "unusable_runs": "likeness",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
