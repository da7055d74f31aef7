"""Pure numbers: retrieval, what an embedding clusters by, and statistics over runs.

A name's module is imported when the name is asked for: PyTorch, which some of them need, takes half
a gigabyte, and NR-Prec of NumPy arrays does without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossprint.metrics.concatenation import concatenated
    from lossprint.metrics.fisher import fisher_mean, fisher_std
    from lossprint.metrics.geometry import EmbeddingGeometry, embedding_geometry
    from lossprint.metrics.properties import (
        PropertyPrecision,
        normalized_r_precision,
        property_precision,
    )
    from lossprint.metrics.retrieval import retrieval_metrics

__all__ = [
    "EmbeddingGeometry",
    "PropertyPrecision",
    "concatenated",
    "embedding_geometry",
    "fisher_mean",
    "fisher_std",
    "normalized_r_precision",
    "property_precision",
    "retrieval_metrics",
]

_HOMES = {
    "EmbeddingGeometry": "geometry",
    "PropertyPrecision": "properties",
    "concatenated": "concatenation",
    "embedding_geometry": "geometry",
    "fisher_mean": "fisher",
    "fisher_std": "fisher",
    "normalized_r_precision": "properties",
    "property_precision": "properties",
    "retrieval_metrics": "retrieval",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
