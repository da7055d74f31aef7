"""Are runs comparable: the same backbone, data and probe set, trained alike but for the loss?"""

from collections.abc import Sequence

from lossprint.runs.provenance import differences, immaterial
from lossprint.runs.record import RunRecord

MUST_AGREE = ("model", "probe")
SHOULD_AGREE = ("optimizer", "schedule", "sampler", "trainer", "hyperparameters")


def incompatibilities(records: Sequence[RunRecord]) -> list[str]:
    """Say how runs differ where they must not: in the backbone, the data or the probe set.

    The backbone may differ where architectures are what is compared.

    Returns:
        One sentence per run that differs from the first; empty where all are comparable.
    """
    sections = ("probe",) if architectures_compared(records) else MUST_AGREE
    return _against_first(records, sections, fingerprint=True)


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
