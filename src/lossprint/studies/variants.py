"""What is compared: losses, and a loss trained with other hyperparameters is another thing."""

from collections.abc import Mapping, Sequence
from typing import Any

from lossprint.runs.provenance import flattened, immaterial
from lossprint.runs.record import RunRecord
from lossprint.studies.comparability import SHOULD_AGREE

SECTIONS = ("loss", *SHOULD_AGREE)
"""Of a configuration: how a network was trained, whatever its fold and seed."""


def variant_names(records: Sequence[RunRecord]) -> list[str]:
    """Name each run's loss, with what differs where runs of one loss differ in their training.

    Runs of one name are trainings of one thing and may be pooled as such: `triplet` where all were
    trained alike, else `triplet, lr 0.001` and `triplet, lr 0.0003`.
    """
    settings = [training_settings(record.config()) for record in records]
    names = []
    for record, own in zip(records, settings, strict=True):
        alike = [s for r, s in zip(records, settings, strict=True) if r.loss == record.loss]
        varying = [
            key
            for key in sorted({key for other in alike for key in other})
            if any(other.get(key) != own.get(key) for other in alike)
        ]
        last = [key.rpartition(".")[2] for key in varying]
        told = [
            f"{short if last.count(short) == 1 else key} {own.get(key, 'none')}"
            for key, short in zip(varying, last, strict=True)
        ]
        # A slash would part a name into folders.
        names.append(", ".join([record.loss, *told]).replace("/", "∕"))
    return names


def training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a configuration that make a variant of a loss, by dotted name."""
    chosen = {section: config[section] for section in SECTIONS if section in config}
    return flattened(chosen, immaterial(config))
