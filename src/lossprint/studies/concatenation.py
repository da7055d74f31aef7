"""How well the networks of all folds retrieve together; from the embeddings that runs keep."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from lossprint.metrics.concatenation import concatenated
from lossprint.metrics.retrieval import retrieval_metrics
from lossprint.runs.cache import content_key, file_key, load_or_compute
from lossprint.runs.record import RunRecord
from lossprint.studies.networks import Network
from lossprint.tensor_files import load_tensors

METRICS = ("map_at_r", "r_precision", "precision_at_1")


def concatenated_folds(networks: Sequence[Network]) -> Iterator[tuple[Network, dict[str, float]]]:
    """Retrieval with the embeddings of all folds concatenated, for each loss and seed.

    Where a fold is missing, kept no test embeddings, or was tested on other images, there is no
    such metric.

    Yields:
        One of the networks (of fold 0), and the retrieval metrics of all folds together.
    """
    groups: dict[tuple[Path, int], dict[int, tuple[Network, RunRecord]]] = {}
    for network in networks:
        run = network.run
        if run is not None and run.test_embeddings_file.is_file():
            groups.setdefault((run.folder.parent, run.seed), {})[run.fold] = (network, run)
    for members in groups.values():
        folds = {run.config().get("folds") for _, run in members.values()}
        if len(folds) == 1 and set(members) == set(range(folds.pop() or 0)):
            metrics = _metrics([members[fold] for fold in sorted(members)])
            if metrics is not None:
                yield members[0][0], metrics


def _metrics(folds: Sequence[tuple[Network, RunRecord]]) -> dict[str, float] | None:
    files = [run.test_embeddings_file for _, run in folds]
    try:
        parts = [load_tensors(file) for file in files]
    except ValueError:  # damaged, e.g. by a full disk
        return None
    labels = parts[0]["labels"]
    if not all(torch.equal(part["labels"], labels) for part in parts):
        return None
    kept = load_or_compute(
        folds[0][0].cache,
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
