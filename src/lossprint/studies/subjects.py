"""The networks of a comparison: what they are, where their results are kept, how to load them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from torch import nn

from lossprint.data.transforms import Preprocessing
from lossprint.runs.cache import file_key
from lossprint.runs.record import RunRecord

Load = Callable[[], tuple[nn.Module, Preprocessing]]


@dataclass(frozen=True, eq=False)
class Subject:
    """One network under study.

    Attributes:
        run: its name, unique within the comparison.
        loss: that trained it.
        family: "ranking", "classification" or "control".
        distance: that the loss compares embeddings in; saliency differentiates it.
        fold: -1 where folds do not apply.
        seed: of its training, of its initialization for a control.
        weights_key: content of its weights; results are kept under it.
        cache: folder of its results.
        load: gives the embedder and what it expects of its input; called only where a result is
            missing.
        metrics: final metrics by key, e.g. test/map_at_r.
        metrics_file: metrics over epochs, or None.
        test_embeddings: file of the test images' `embeddings` and `labels`, or None.
        folds: how many folds its classes were divided into, or None.
    """

    run: str
    loss: str
    family: str
    distance: str
    fold: int
    seed: int
    weights_key: str
    cache: Path
    load: Load
    metrics: Mapping[str, float] = field(default_factory=dict)
    metrics_file: Path | None = None
    test_embeddings: Path | None = None
    folds: int | None = None


def subjects_of_runs(
    records: Sequence[RunRecord], load: Callable[[RunRecord], tuple[nn.Module, Preprocessing]]
) -> tuple[list[Subject], pd.DataFrame]:
    """Make subjects of finished runs with weights; say of the others why they are left out.

    Args:
        records: of any status.
        load: a run's embedder and preprocessing.

    Returns:
        The subjects, and a table `run, part, reason` of what is left out.
    """
    one_sweep = len({record.sweep for record in records}) < 2
    subjects, skipped = [], []
    for record in records:
        name = f"{record.loss}/fold{record.fold}-seed{record.seed}"
        if not one_sweep:
            name = f"{record.sweep}/{name}"
        obstacle = _obstacle(record)
        if obstacle is not None:
            skipped.append({"run": name, "part": "the whole run", "reason": obstacle})
            continue
        subjects.append(
            Subject(
                run=name,
                loss=record.loss,
                family=record.family,
                distance=record.distance,
                fold=record.fold,
                seed=record.seed,
                weights_key=file_key(record.weights_file),
                cache=record.analysis_folder,
                load=_bound(load, record),
                metrics=record.metrics,
                metrics_file=record.metrics_file,
                test_embeddings=record.test_embeddings_file,
                folds=record.config().get("folds") if record.config_file.is_file() else None,
            )
        )
    return subjects, pd.DataFrame(skipped, columns=["run", "part", "reason"])


def runs_table(subjects: Sequence[Subject]) -> pd.DataFrame:
    """One row per subject: `run, loss, family, distance, fold, seed`."""
    columns = ["run", "loss", "family", "distance", "fold", "seed"]
    rows = [[getattr(subject, column) for column in columns] for subject in subjects]
    return pd.DataFrame(rows, columns=columns)


def _obstacle(record: RunRecord) -> str | None:
    if record.status == "failed":
        return f"it failed ({record.error}); train it again with the same command"
    if record.status != "finished":
        return "it is not finished; the command that started it continues it"
    if not record.weights_file.is_file():
        return (
            f"{record.weights_file} is missing; train it again with force=true, or put the file "
            "back"
        )
    return None


def _bound(load: Callable[[RunRecord], tuple[nn.Module, Preprocessing]], record: RunRecord) -> Load:
    return lambda: load(record)
