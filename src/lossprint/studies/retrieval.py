"""How well each run retrieves, and how that went while it trained; read from its folder."""

from collections.abc import Sequence

import pandas as pd

from lossprint.studies.concatenation import concatenated_folds
from lossprint.studies.subjects import Subject

METRICS = ("map_at_r", "r_precision", "precision_at_1")
RECALLS = ("recall_at_2", "recall_at_4", "recall_at_8")
CURVES = ("val/map_at_r", "val/precision_at_1", "train/loss")


def retrieval_table(subjects: Sequence[Subject]) -> pd.DataFrame:
    """`run, loss, family, fold, seed, metric, value` on unseen classes.

    Controls take the metrics that the runs measured of their untrained selves where they have
    none. `concatenated/<metric>`, last, is of all folds of a loss and seed together, see
    `concatenated_folds`; its `fold` is -1.
    """
    rows = [
        [*_run(subject), metric, subject.metrics[f"test/{metric}"]]
        for metric in (*METRICS, *RECALLS)
        for subject in subjects
        if f"test/{metric}" in subject.metrics
    ]
    for subject, metrics in concatenated_folds(subjects):
        run = subject.run.replace(f"fold{subject.fold}-", "folds-")
        rows += [
            [run, subject.loss, subject.family, -1, subject.seed, f"concatenated/{name}", value]
            for name, value in metrics.items()
        ]
    return pd.DataFrame(rows, columns=["run", "loss", "family", "fold", "seed", "metric", "value"])


def curves_table(subjects: Sequence[Subject]) -> pd.DataFrame:
    """`run, loss, family, fold, seed, epoch, metric, value` of what runs logged while training.

    Retrieval on validation classes, training loss, and all that was measured on the probe set.
    """
    tables = []
    for subject in subjects:
        if subject.metrics_file is None or not subject.metrics_file.is_file():
            continue
        wide = pd.read_csv(subject.metrics_file)
        chosen = [name for name in wide.columns if name in CURVES or name.startswith("probe/")]
        if "epoch" not in wide.columns or not chosen:
            continue
        tidy = wide.melt("epoch", chosen, "metric", "value").dropna(subset=["value"])
        names = ["run", "loss", "family", "fold", "seed"]
        tables.append(tidy.assign(**dict(zip(names, _run(subject), strict=True))))
    columns = ["run", "loss", "family", "fold", "seed", "epoch", "metric", "value"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def _run(subject: Subject) -> list[object]:
    return [subject.run, subject.loss, subject.family, subject.fold, subject.seed]
