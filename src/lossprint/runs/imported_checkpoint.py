"""Anybody's checkpoints as finished runs on disk: the analysis reads them like any other."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import nn

from lossprint.models.checkpoints import check_embeds, load_checkpoint, weights_of
from lossprint.models.foreign_files import missing_file
from lossprint.models.key_maps import KeyMap, read_key_map
from lossprint.models.native import plain_network
from lossprint.runs.record import FAMILIES, RunRecord, run_folder
from lossprint.saliency.distances import DISTANCES
from lossprint.tensor_files import save_tensors

SWEEP = "checkpoints"
_FOLDER = re.compile(r"[^./\\:*?\"<>|\s][^/\\:*?\"<>|]*")


@dataclass(frozen=True)
class Checkpoint:
    """Weights on disk and what trained them.

    Attributes:
        weights: file, or files that are one network; None leaves the network as it is made.
        loss: name under which losses are grouped.
        family: "ranking", "classification" or "control".
        distance: that the loss compares embeddings in: "lp", "lp_squared", "cosine", "dot", "snr".
        fold: which part of the classes it did not see; 0 where there is but one.
        seed: of its training.
        key_map: from the file's names to the network's, see `read_key_map`.
        part: which of the file's state dicts, see `load_checkpoint`.
        network: its architecture if it is another than the others': `_target_` and arguments, or a
            name that `native_network` knows.
        preprocessing: what it expects of its input, if another than the others.

    Raises:
        ValueError: an attribute is not valid.
        FileNotFoundError: there is no such file.
    """

    weights: Path | tuple[Path, ...] | None
    loss: str
    family: str
    distance: str
    fold: int = 0
    seed: int = 0
    key_map: KeyMap | str = field(default_factory=dict)
    part: str | None = None
    network: Mapping[str, Any] | str | None = None
    preprocessing: Mapping[str, Any] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Of its weights."""
        if self.weights is None:
            return ()
        return self.weights if isinstance(self.weights, tuple) else (self.weights,)

    @property
    def named(self) -> str:
        """For messages."""
        return ", ".join(map(str, self.files)) or str(self.network)

    def __post_init__(self) -> None:
        if isinstance(self.weights, list | tuple):
            object.__setattr__(self, "weights", tuple(map(Path, self.weights)))
        elif self.weights is not None:
            object.__setattr__(self, "weights", Path(self.weights))
        for name, valid in (("family", FAMILIES), ("distance", tuple(DISTANCES))):
            value = getattr(self, name)
            if value not in valid:
                raise ValueError(
                    f"{name} of {self.named} must be one of {', '.join(valid)}, not {value!r}"
                )
        # It names a folder.
        if not _FOLDER.fullmatch(str(self.loss)):
            raise ValueError(f"loss of {self.named} must be a plain name, not {self.loss!r}")
        if self.weights is None and self.network is None:
            raise ValueError(f"{self.loss} has neither weights nor a network of its own")
        for name in ("fold", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(
                    f"{name} of {self.named} must be a whole number of at least 0, not {value!r}"
                )
        for file in self.files:
            if not file.is_file():
                raise missing_file(file)
        read_key_map(self.key_map)


def listed_checkpoints(
    section: Mapping[str, Any], *, where: str = "models.checkpoints"
) -> list[Checkpoint]:
    """Read what a configuration lists.

    Args:
        section: `checkpoints`, a list of the attributes of `Checkpoint`, and `key_map`, or None, of
            those that have none of their own.
        where: the list's name in the configuration.

    Raises:
        ValueError: an entry is unknown, missing or not valid, or two are the same training.
        FileNotFoundError: a file is not there.
    """
    valid = {  # and whether each has to be given
        item.name: item.default is MISSING and item.default_factory is MISSING
        for item in fields(Checkpoint)
    }
    found: dict[tuple[str, int, int], Checkpoint] = {}
    for position, entry in enumerate(section["checkpoints"]):
        place = f"{where}[{position}]"
        if not isinstance(entry, Mapping):
            raise ValueError(f"{place}={entry!r} must hold {', '.join(valid)}")
        unknown = [key for key in entry if key not in valid]
        if unknown:
            raise ValueError(f"unknown {place}.{unknown[0]}; valid are {', '.join(valid)}")
        missing = [key for key, needed in valid.items() if needed and key not in entry]
        if missing:
            raise ValueError(f"{place} has no {missing[0]}")
        checkpoint = Checkpoint(**{"key_map": section["key_map"] or {}, **entry})
        key = (checkpoint.loss, checkpoint.fold, checkpoint.seed)
        if key in found:
            raise ValueError(
                f"{found[key].named} and {checkpoint.named} are both loss {checkpoint.loss}, "
                f"fold {checkpoint.fold}, seed {checkpoint.seed}; give one another `loss`, `fold` "
                "or `seed`"
            )
        found[key] = checkpoint
    if not found:
        raise ValueError(f"{where} is empty: there is nothing to compare")
    return list(found.values())


def import_checkpoint(
    checkpoint: Checkpoint,
    network: nn.Module,
    section: Mapping[str, Any],
    output_root: Path | str,
    *,
    sweep: str = SWEEP,
) -> RunRecord:
    """Write a checkpoint as a run of a sweep.

    Args:
        checkpoint: to read.
        network: its architecture, built; it gets the weights in place.
        section: `model` describes the architecture (`embedding_size`, None for any, and
            `preprocessing` among it); `probe` and `data_root` are what the analysis looks at it
            with, in the shape of a training's configuration.
        output_root: below which runs lie.
        sweep: the folder there.

    Raises:
        FileNotFoundError, ValueError: see `load_checkpoint` and `check_embeds`.
    """
    if checkpoint.weights is not None:
        named = isinstance(checkpoint.network, str)
        load_checkpoint(
            plain_network(network),
            checkpoint.files if len(checkpoint.files) > 1 else checkpoint.files[0],
            key_map=checkpoint.key_map,
            part=checkpoint.part,
            headless=named,
        )
    check_embeds(network, section["probe"]["size"], section["model"]["embedding_size"])
    record = RunRecord(
        folder=run_folder(output_root, sweep, checkpoint.loss, checkpoint.fold, checkpoint.seed),
        loss=checkpoint.loss,
        family=checkpoint.family,
        distance=checkpoint.distance,
        fold=checkpoint.fold,
        seed=checkpoint.seed,
        data_fingerprint="unknown",
    )
    config = {
        "imported": [str(file.resolve()) for file in checkpoint.files],
        "loss": {
            "name": checkpoint.loss,
            "family": checkpoint.family,
            "distance": checkpoint.distance,
        },
        "model": dict(section["model"]),
        "probe": dict(section["probe"]),
        "data_root": str(section["data_root"]),
        "fold": checkpoint.fold,
        "seed": checkpoint.seed,
        "architectures": "compared" if checkpoint.network is not None else "one",
    }
    _forget_other_results(record, section["model"])
    save_tensors(weights_of(network), record.weights_file)
    return record.begin(config).finish({}, {})


def _forget_other_results(record: RunRecord, model: Mapping[str, Any]) -> None:
    """Remove maps and embeddings of the same weights in another network or seen otherwise."""
    if record.config_file.is_file() and record.config().get("model") != model:
        shutil.rmtree(record.analysis_folder, ignore_errors=True)
