"""Step two of the study: which properties of an image each embedding clusters by."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import torch
from torch import Tensor

from lossprint.data.probe import ProbeSet
from lossprint.metrics import normalized_r_precision
from lossprint.runs.cache import content_key, load_or_compute
from lossprint.studies.probe_features import embeddings_key, probe_embeddings
from lossprint.studies.settings import PropertySettings
from lossprint.studies.subjects import Subject


def property_values(
    subject: Subject, probe: ProbeSet, settings: PropertySettings
) -> dict[str, float]:
    """Load or compute a network's normalized R-Precision for every property of the probe set."""
    names = list(probe.properties.columns)
    parameters = {key: value for key, value in asdict(settings).items() if key != "significant"}

    def compute() -> dict[str, Tensor]:
        values = normalized_r_precision(
            probe_embeddings(subject, probe),
            {name: probe.properties[name] for name in names},
            normalize=settings.normalize,
            max_neighbors=settings.max_neighbors,
            variance=settings.variance,
        )
        return {"values": torch.tensor([values[name] for name in names], dtype=torch.float64)}

    key = content_key("properties", embeddings_key(subject, probe), names, parameters)
    values = load_or_compute(subject.cache, "properties", key, compute)["values"].tolist()
    return dict(zip(names, values, strict=True))


def property_table(subjects: Sequence[Subject], values: Sequence[dict[str, float]]) -> pd.DataFrame:
    """`run, loss, family, fold, seed, property, value`."""
    rows = [
        [subject.run, subject.loss, subject.family, subject.fold, subject.seed, name, value]
        for subject, found in zip(subjects, values, strict=True)
        for name, value in found.items()
    ]
    return pd.DataFrame(
        rows, columns=["run", "loss", "family", "fold", "seed", "property", "value"]
    )
