"""How well the networks of all folds retrieve together; from the embeddings that runs keep."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lossprint.metrics.concatenation import concatenated
from lossprint.metrics.retrieval import retrieval_metrics
from lossprint.runs.cache import content_key, file_key, load_or_compute
from lossprint.studies.subjects import Subject

METRICS = ("map_at_r", "r_precision", "precision_at_1")


def concatenated_folds(subjects: Sequence[Subject]) -> Iterator[tuple[Subject, dict[str, float]]]:
    """Retrieval with the embeddings of all folds concatenated, for each loss and seed.

    Where a fold is missing, kept no test embeddings, or was tested on other images, there is no
    such metric.

    Yields:
        One of the subjects (of fold 0), and the retrieval metrics of all folds together.
    """
    groups: dict[tuple[Path, int], dict[int, Subject]] = {}
    for subject in subjects:
        if subject.test_embeddings is not None and subject.test_embeddings.is_file():
            key = (subject.test_embeddings.parent.parent, subject.seed)
            groups.setdefault(key, {})[subject.fold] = subject
    for members in groups.values():
        folds = {subject.folds for subject in members.values()}
        if len(folds) == 1 and set(members) == set(range(folds.pop() or 0)):
            metrics = _metrics([members[fold] for fold in sorted(members)])
            if metrics is not None:
                yield members[0], metrics


def _metrics(folds: Sequence[Subject]) -> dict[str, float] | None:
    files = [subject.test_embeddings for subject in folds if subject.test_embeddings is not None]
    try:
        parts = [load_file(file) for file in files]
    except SafetensorError:  # damaged, e.g. by a full disk
        return None
    labels = parts[0]["labels"]
    if not all(torch.equal(part["labels"], labels) for part in parts):
        return None
    kept = load_or_compute(
        folds[0].cache,
        "concatenated",
        content_key("concatenated", [file_key(file) for file in files]),
        lambda: {
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in retrieval_metrics(
                concatenated([part["embeddings"] for part in parts]), labels
            ).items()
        },
    )
    return {name: float(kept[name]) for name in METRICS}
