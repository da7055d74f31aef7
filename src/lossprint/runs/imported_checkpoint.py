"""Anybody's checkpoints as finished runs on disk: the analysis reads them like any other."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from lossprint.files import whole_file
from lossprint.models.checkpoints import load_checkpoint
from lossprint.runs.record import FAMILIES, RunRecord, run_folder
from lossprint.saliency.distances import DISTANCES

SWEEP = "checkpoints"


@dataclass(frozen=True)
class Checkpoint:
    """Weights on disk and what trained them.

    Attributes:
        weights: state dict, see `read_state_dict`.
        loss: name under which losses are grouped.
        family: "ranking", "classification" or "control".
        distance: that the loss compares embeddings in: "lp", "lp_squared", "cosine", "dot", "snr".
        fold: which part of the classes it did not see; 0 where there is but one.
        seed: of its training.
        key_map: from the file's names to the network's, see `rename_keys`.

    Raises:
        ValueError: an attribute is not valid.
        FileNotFoundError: there is no such file.
    """

    weights: Path
    loss: str
    family: str
    distance: str
    fold: int = 0
    seed: int = 0
    key_map: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", Path(self.weights))
        for name, valid in (("family", FAMILIES), ("distance", tuple(DISTANCES))):
            value = getattr(self, name)
            if value not in valid:
                raise ValueError(
                    f"{name} of {self.weights} must be one of {', '.join(valid)}, not {value!r}"
                )
        # It names a folder.
        if not str(self.loss) or str(self.loss).startswith(".") or "/" in str(self.loss):
            raise ValueError(f"loss of {self.weights} must be a plain name, not {self.loss!r}")
        for name in ("fold", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(
                    f"{name} of {self.weights} must be a whole number of at least 0, not {value!r}"
                )
        if not self.weights.is_file():
            raise FileNotFoundError(f"no weights file at {self.weights}")


def listed_checkpoints(section: Mapping[str, Any]) -> list[Checkpoint]:
    """Read what a configuration lists.

    Args:
        section: `checkpoints`, a list of the attributes of `Checkpoint`, and `key_map`, or None, of
            those that have none of their own.

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
        where = f"models.checkpoints[{position}]"
        if not isinstance(entry, Mapping):
            raise ValueError(f"{where}={entry!r} must hold {', '.join(valid)}")
        unknown = [key for key in entry if key not in valid]
        if unknown:
            raise ValueError(f"unknown {where}.{unknown[0]}; valid are {', '.join(valid)}")
        missing = [key for key, needed in valid.items() if needed and key not in entry]
        if missing:
            raise ValueError(f"{where} has no {missing[0]}")
        checkpoint = Checkpoint(**{"key_map": section["key_map"] or {}, **entry})
        key = (checkpoint.loss, checkpoint.fold, checkpoint.seed)
        if key in found:
            raise ValueError(
                f"{found[key].weights} and {checkpoint.weights} are both loss {checkpoint.loss}, "
                f"fold {checkpoint.fold}, seed {checkpoint.seed}"
            )
        found[key] = checkpoint
    if not found:
        raise ValueError("models.checkpoints is empty: there is nothing to compare")
    return list(found.values())


def import_checkpoint(
    checkpoint: Checkpoint,
    network: nn.Module,
    section: Mapping[str, Any],
    output_root: Path | str,
) -> RunRecord:
    """Write a checkpoint as a run of a sweep `checkpoints`.

    Args:
        checkpoint: to read.
        network: its architecture, built; it gets the weights in place.
        section: `model` describes the architecture (`embedding_size`, None for any, and
            `preprocessing` among it); `probe` and `data_root` are what the analysis looks at it
            with, in the shape of a training's configuration.
        output_root: below which runs lie.

    Raises:
        FileNotFoundError, ValueError: see `load_checkpoint`.
    """
    load_checkpoint(
        network,
        checkpoint.weights,
        key_map=checkpoint.key_map,
        image_size=section["probe"]["size"],
        embedding_size=section["model"]["embedding_size"],
    )
    record = RunRecord(
        folder=run_folder(output_root, SWEEP, checkpoint.loss, checkpoint.fold, checkpoint.seed),
        loss=checkpoint.loss,
        family=checkpoint.family,
        distance=checkpoint.distance,
        fold=checkpoint.fold,
        seed=checkpoint.seed,
        data_fingerprint="unknown",
    )
    state = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
    with whole_file(record.weights_file) as temporary:
        save_file(state, temporary)
    config = {
        "imported": str(checkpoint.weights.resolve()),
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
    }
    return record.begin(config).finish({}, {})
