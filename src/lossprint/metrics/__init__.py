"""Pure numbers: retrieval, what an embedding clusters by, and statistics over runs.

A name's module is imported when the name is asked for: PyTorch, which some of them need, takes half
a gigabyte, and NR-Prec of NumPy arrays does without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossprint.metrics.between_families import FamilyContrast as FamilyContrast
    from lossprint.metrics.between_families import family_contrast as family_contrast
    from lossprint.metrics.between_losses import LossContrast as LossContrast
    from lossprint.metrics.between_losses import loss_contrast as loss_contrast
    from lossprint.metrics.cka import debiased_cka as debiased_cka
    from lossprint.metrics.cka import debiased_cka_matrix as debiased_cka_matrix
    from lossprint.metrics.concatenation import concatenated as concatenated
    from lossprint.metrics.fisher import fisher_mean as fisher_mean
    from lossprint.metrics.fisher import fisher_std as fisher_std
    from lossprint.metrics.geometry import EmbeddingGeometry as EmbeddingGeometry
    from lossprint.metrics.geometry import embedding_geometry as embedding_geometry
    from lossprint.metrics.intervals import Interval as Interval
    from lossprint.metrics.intervals import image_groups as image_groups
    from lossprint.metrics.intervals import jackknife_values as jackknife_values
    from lossprint.metrics.intervals import mean_over_images as mean_over_images
    from lossprint.metrics.intervals import mean_over_runs_and_images as mean_over_runs_and_images
    from lossprint.metrics.intervals import without_each as without_each
    from lossprint.metrics.likeness import training_corrected as training_corrected
    from lossprint.metrics.likeness import unusable_runs as unusable_runs
    from lossprint.metrics.mantel import RankRelation as RankRelation
    from lossprint.metrics.mantel import likeness_against_difference as likeness_against_difference
    from lossprint.metrics.properties import PropertyPrecision as PropertyPrecision
    from lossprint.metrics.properties import normalized_r_precision as normalized_r_precision
    from lossprint.metrics.properties import (
        normalized_r_precision_maximum as normalized_r_precision_maximum,
    )
    from lossprint.metrics.properties import property_precision as property_precision
    from lossprint.metrics.retrieval import retrieval_metrics as retrieval_metrics

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
    "without_each": "intervals",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
