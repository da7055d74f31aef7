"""Are runs comparable: the same backbone, data and probe set, trained alike but for the loss?"""

from collections.abc import Mapping, Sequence
from typing import Any

from lossprint.runs.provenance import differences, immaterial
from lossprint.runs.record import RunRecord

MUST_AGREE = ("model", "probe")
IMAGES = ("source", "render")
"""Of the section `data`: which images there are."""
SHOULD_AGREE = ("optimizer", "schedule", "sampler", "trainer", "hyperparameters")


def incompatibilities(records: Sequence[RunRecord]) -> list[str]:
    """Say how runs differ where they must not: in the backbone, the data or the probe set.

    The backbone may differ where architectures are what is compared.

    Returns:
        One sentence per run that differs from the first; empty where all are comparable.
    """
    sections = ("probe",) if architectures_compared(records) else MUST_AGREE
    return _against_first(records, sections, fingerprint=True)


def incompatible_settings(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Say in which settings two trainings, yet to come, differ so that they will be incompatible.

    Args:
        first: a resolved configuration.
        other: likewise.

    Returns:
        One line per setting; see `differences`.
    """
    ignored = immaterial(first) - {"data.source.root"}  # before it is read, a folder tells the data
    one, two = (
        {section: config[section] for section in MUST_AGREE}
        | {"data": {key: config["data"].get(key) for key in IMAGES}}
        for config in (first, other)
    )
    return differences(one, two, ignore=ignored)


def architectures_compared(records: Sequence[RunRecord]) -> bool:
    """Whether some networks were imported to be compared as architectures."""
    return any(record.config().get("architectures") == "compared" for record in records)


def training_differences(records: Sequence[RunRecord]) -> list[str]:
    """Say how runs differ in their training beyond loss, fold and seed: a confounder."""
    return _against_first(records, SHOULD_AGREE, fingerprint=False)


def _against_first(
    records: Sequence[RunRecord], sections: tuple[str, ...], *, fingerprint: bool
) -> list[str]:
    if not records:
        return []
    first, rest = records[0], records[1:]
    expected = _sections(first, sections)
    ignored = immaterial(first.config())
    found = []
    for record in rest:
        changed = differences(expected, _sections(record, sections), ignore=ignored)
        if fingerprint and record.data_fingerprint != first.data_fingerprint:
            changed.append(f"data: {first.data_fingerprint} → {record.data_fingerprint}")
        if changed:
            found.append(
                f"{record.sweep}/{record.name} differs from {first.sweep}/{first.name} in "
                f"{'; '.join(changed)}"
            )
    return found


def _sections(record: RunRecord, sections: tuple[str, ...]) -> dict[str, object]:
    config = record.config()
    return {section: config[section] for section in sections if section in config}
