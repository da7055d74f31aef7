"""Pure numbers: retrieval, what an embedding clusters by, and statistics over runs."""

from lossprint.metrics.concatenation import concatenated
from lossprint.metrics.fisher import fisher_mean, fisher_std
from lossprint.metrics.properties import (
    PropertyPrecision,
    normalized_r_precision,
    property_precision,
)
from lossprint.metrics.retrieval import retrieval_metrics

__all__ = [
    "PropertyPrecision",
    "concatenated",
    "fisher_mean",
    "fisher_std",
    "normalized_r_precision",
    "property_precision",
    "retrieval_metrics",
]
