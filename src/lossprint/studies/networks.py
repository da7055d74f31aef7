"""The networks under study: what they are, where their results are kept, how to load them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path

import pandas as pd
from torch import nn

from lossprint.data.transforms import Preprocessing
from lossprint.probing.network import Load, weights_file_key
from lossprint.runs.record import RunRecord
from lossprint.runs.registry import damage
from lossprint.saliency.distances import DISTANCES
from lossprint.studies.columns import skipped, together
from lossprint.studies.variants import variant_names


@dataclass(frozen=True, eq=False)
class Network:
    """One network under study.

    Attributes:
        name: unique within the comparison; the column `run` of every table.
        loss: that trained it, with what differs where runs of it were trained in several ways.
        family: "ranking", "classification" or "control".
        distance: that the loss compares embeddings in; saliency differentiates it.
        fold: -1 where folds do not apply.
        seed: of its training, of its initialization for a control.
        weights_key: content of its weights; results are kept under it.
        cache: folder of its results.
        load: gives the embedder and what it expects of its input; called only where a result is
            missing.
        metrics: final metrics by key, e.g. test/map_at_r.
        run: that trained it; None for a control.
        lineage: of close variants of one loss, see conf/loss/README.md; None where it has none.
    """

    name: str
    loss: str
    family: str
    distance: str
    fold: int
    seed: int
    weights_key: str
    cache: Path
    load: Load
    metrics: Mapping[str, float] = field(default_factory=dict)
    run: RunRecord | None = None
    lineage: str | None = None

    @property
    def cells(self) -> tuple[str, str, str, int, int]:
        """Its values in the columns `lossprint.studies.columns.RUN`."""
        return self.name, self.loss, self.family, self.fold, self.seed


def networks_of_runs(
    records: Sequence[RunRecord],
    load: Callable[[RunRecord], tuple[nn.Module, Preprocessing]],
    *,
    results: Callable[[RunRecord], Path] = attrgetter("analysis_folder"),
) -> tuple[list[Network], pd.DataFrame]:
    """The networks of finished runs with sound files; the other runs are named with the reason.

    Args:
        records: of any status.
        load: a run's embedder and preprocessing.
        results: where a run's results are kept.

    Returns:
        The networks, and a table `run, part, reason` of the runs that are left out.
    """
    sweeps = _sweep_names(records)
    usable = [record for record in records if _obstacle(record) is None]
    losses = dict(zip((r.folder for r in usable), variant_names(usable), strict=True))
    networks, gaps = [], []
    for record in records:
        loss = losses.get(record.folder, record.loss)
        name = f"{sweeps[_sweep(record)]}{loss}/fold{record.fold}-seed{record.seed}"
        obstacle = _obstacle(record)
        if obstacle is not None:
            gaps.append(skipped("the whole run", obstacle, run=name))
            continue
        networks.append(
            Network(
                name=name,
                loss=loss,
                family=record.family,
                distance=record.distance,
                fold=record.fold,
                seed=record.seed,
                weights_key=weights_file_key(record.weights_file),
                cache=results(record),
                load=partial(load, record),
                metrics=record.metrics,
                run=record,
                lineage=_lineage(record) or record.loss,
            )
        )
    return networks, together(gaps)


def first_runs(networks: Sequence[Network]) -> dict[str, Network]:
    """For each loss its network of the lowest fold and seed."""
    found: dict[str, Network] = {}
    for network in sorted(networks, key=lambda each: (each.fold, each.seed)):
        found.setdefault(network.loss, network)
    return found


def lineages_of(networks: Iterable[Network]) -> dict[str, str]:
    """Of each loss; one without close variants is a lineage of its own."""
    return {network.loss: network.lineage or network.loss for network in networks}


def _lineage(record: RunRecord) -> str | None:
    loss = record.config().get("loss")
    return loss.get("lineage") if isinstance(loss, Mapping) else None


def _sweep(record: RunRecord) -> Path:
    return record.folder.resolve().parent.parent


def _sweep_names(records: Sequence[RunRecord]) -> dict[Path, str]:
    """What to write before a run's name: nothing for a single sweep, else enough of its path."""
    folders = list(dict.fromkeys(map(_sweep, records)))
    if len(folders) < 2:
        return dict.fromkeys(folders, "")
    length = 1
    while len({folder.parts[-length:] for folder in folders}) < len(folders):
        length += 1
    return {folder: "/".join(folder.parts[-length:]) + "/" for folder in folders}


def _obstacle(record: RunRecord) -> str | None:
    if record.status == "failed":
        return f"it failed ({record.error}); train it again with the same command"
    if record.status != "finished":
        return "it is not finished; the command that started it continues it"
    if record.distance not in DISTANCES:
        valid = ", ".join(DISTANCES)
        return f"{record.folder}: its distance {record.distance!r} is unknown; valid are {valid}"
    return damage(record)
