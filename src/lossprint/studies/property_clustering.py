"""Step two of the study: which properties of an image each embedding clusters by."""

from collections.abc import Sequence

import pandas as pd

from lossprint.studies.subjects import Subject


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
