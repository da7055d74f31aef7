"""A loss as its configuration file describes it: checked, built, called.

The schema is documented in conf/loss/README.md. Nothing here knows a particular loss.
"""

import copy
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from pytorch_metric_learning import distances
from torch import Tensor, nn

from lossprint.models.reality_check import FAMILIES_AND_DISTANCES
from lossprint.runs.record import FAMILIES
from lossprint.saliency.distances import DISTANCES
from lossprint.training.checks import check_flag, check_keys, check_number, check_whole_number
from lossprint.training.constructor_arguments import check_arguments

STUDY_LOSSES = tuple(FAMILIES_AND_DISTANCES)
"""The losses of the ICCV 2021 study, in its tables' order; those with published optima."""

_REQUIRED_KEYS = ("name", "family", "distance", "criterion")
_OPTIONAL_KEYS = ("lineage", "miner", "batch", "optimizer", "published")


@dataclass(frozen=True)
class BatchDemands:
    """What a loss demands of a batch of P classes with K samples each.

    Attributes:
        min_classes: the smallest P it is defined for.
        min_samples_per_class: the smallest K; pair losses need 2.
        used_samples_per_class: how many of the K it takes, if not all.
        classes_equal_samples: whether it is right only for P = K.
    """

    min_classes: int = 1
    min_samples_per_class: int = 1
    used_samples_per_class: int | None = None
    classes_equal_samples: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> "BatchDemands":
        """Read the `batch` entry of a loss file.

        Raises:
            ValueError: naming an unknown demand or a value that is none.
        """
        config = {} if config is None else config
        check_keys("loss.batch.", config, [entry.name for entry in fields(cls)])
        for name, value in config.items():
            if name == "classes_equal_samples":
                check_flag(f"loss.batch.{name}", value)
            else:
                check_whole_number(f"loss.batch.{name}", value, 1)
        return cls(**config)


@dataclass(frozen=True)
class LossSpec:
    """A loss ready for training.

    Attributes:
        name: of the configuration file; names the run.
        family: "ranking", "classification" or "control" (nothing is trained).
        distance: in which the loss compares embeddings, and which saliency differentiates: "lp"
            (L2 of normalized embeddings), "lp_squared", "cosine", "dot" or "snr".
        criterion: module (embeddings [B, D], labels [B]) → scalar; None for the control.
        miner: module (embeddings, labels) → indices for the criterion, or None.
        batch: what it demands of a batch.
        learning_rate: of the criterion's own weights; None where it holds none.
    """

    name: str
    family: str
    distance: str
    criterion: nn.Module | None
    miner: nn.Module | None = None
    batch: BatchDemands = field(default_factory=BatchDemands)
    learning_rate: float | None = None


def merge_published(
    loss_config: Mapping[str, Any],
    hyperparameters: Literal["default", "published"],
    *,
    keep: Collection[str] = (),
) -> dict[str, Any]:
    """Put the published optima in place of a loss's defaults, or leave it as it is.

    Args:
        loss_config: a loss file, as plain containers. It is not changed.
        hyperparameters: "default", or "published" for the Cars196 optima of "A Metric Learning
            Reality Check" (Musgrave et al., ECCV 2020).
        keep: dotted names below the loss, e.g. "criterion.margin", that were set by hand and stay.

    Returns:
        A new dictionary of the same schema. The control has nothing to tune and stays as it is.

    Raises:
        ValueError: if the word is another, or the loss has no published optimum.
    """
    if hyperparameters not in ("default", "published"):
        raise ValueError(f"hyperparameters must be default or published, not {hyperparameters!r}.")
    merged = copy.deepcopy(dict(loss_config))
    if hyperparameters == "default" or merged["family"] == "control":
        return merged
    published = merged.get("published")
    if not published:
        raise ValueError(
            f"loss {merged['name']!r} has no published hyperparameters. "
            f"Losses that have: {', '.join(STUDY_LOSSES)}."
        )
    return _merge(merged, published, frozenset(keep))


def _merge(
    base: dict[str, Any], new: Mapping[str, Any], keep: frozenset[str], path: str = ""
) -> dict[str, Any]:
    for key, value in new.items():
        name = f"{path}{key}"
        if name in keep:
            continue
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            base[key] = _merge(dict(base[key]), value, keep, f"{name}.")
        else:
            base[key] = copy.deepcopy(value)
    return base


def check_loss_config(loss_config: Mapping[str, Any]) -> None:
    """Raise unless a loss file is complete and its constructors know every argument.

    Nothing is built, so this can run before there is any data.

    Args:
        loss_config: a loss file with its interpolations resolved, as plain containers.

    Raises:
        ValueError: naming the entry, its value and what would be valid.
    """
    for key in _REQUIRED_KEYS:
        if key not in loss_config:
            raise ValueError(
                f"loss.{key} is missing. A loss file needs {', '.join(_REQUIRED_KEYS)}."
            )
    check_keys("loss.", loss_config, _REQUIRED_KEYS + _OPTIONAL_KEYS)
    name, family = loss_config["name"], loss_config["family"]
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"loss.name must consist of letters, digits, '_', '-' and '.', because it names a "
            f"folder; not {name!r}."
        )
    if family not in FAMILIES:
        raise ValueError(
            f"loss.family of {name!r} must be one of {', '.join(FAMILIES)}, not {family!r}."
        )
    lineage = loss_config.get("lineage")
    if lineage is not None and not (isinstance(lineage, str) and lineage.strip()):
        raise ValueError(
            f"loss.lineage of {name!r} must be a name that close variants of a loss share, or null "
            f"for a loss of its own; not {lineage!r}."
        )
    if loss_config["distance"] not in DISTANCES:
        raise ValueError(
            f"loss.distance of {name!r} must be one of {', '.join(DISTANCES)}, "
            f"not {loss_config['distance']!r}."
        )
    if (loss_config["criterion"] is None) != (family == "control"):
        raise ValueError(
            f"loss {name!r} of family {family!r} "
            + ("needs a criterion." if family != "control" else "takes no criterion.")
        )
    BatchDemands.from_config(loss_config.get("batch"))
    for part in ("criterion", "miner"):
        if loss_config.get(part) is not None:
            check_arguments(loss_config[part], where=f"loss.{part}")
    if loss_config.get("optimizer") is not None:
        check_keys("loss.optimizer.", loss_config["optimizer"], ("lr",))
        check_number("loss.optimizer.lr", loss_config["optimizer"].get("lr"), 0, open_below=True)


def build_loss(
    loss_config: Mapping[str, Any],
    instantiate: Callable[[Any], Any],
    *,
    num_classes: int,
    seed: int,
) -> LossSpec:
    """Build a loss from its file.

    Args:
        loss_config: a loss file with its interpolations resolved, as plain containers.
        instantiate: makes an object of a `_target_` configuration, nested ones included.
        num_classes: of the training classes; takes the place of `num_classes: null`.
        seed: of the criterion's initial weights. The global generator is left as it was.

    Raises:
        ValueError: as `check_loss_config`; if a constructor refuses its arguments; if the criterion
            holds weights and the file gives them no learning rate; if it compares embeddings
            in another distance than the file says.
    """
    check_loss_config(loss_config)
    name = loss_config["name"]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        criterion = _build_module(loss_config, "criterion", instantiate, num_classes)
        miner = _build_module(loss_config, "miner", instantiate, num_classes)
    optimizer = loss_config.get("optimizer") or {}
    weights = [] if criterion is None else [key for key, _ in criterion.named_parameters()]
    if weights and "lr" not in optimizer:
        raise ValueError(
            f"loss {name!r} holds weights ({', '.join(weights)}): give them a learning rate of "
            "their own, loss.optimizer.lr."
        )
    distance = getattr(criterion, "distance", None)
    if isinstance(distance, distances.BaseDistance):
        actual = distance_name(distance)
        if actual != loss_config["distance"]:
            raise ValueError(
                f"loss.distance of {name!r} is {loss_config['distance']!r}, "
                f"but its criterion compares embeddings by {actual!r}."
            )
    return LossSpec(
        name=name,
        family=loss_config["family"],
        distance=loss_config["distance"],
        criterion=criterion,
        miner=miner,
        batch=BatchDemands.from_config(loss_config.get("batch")),
        learning_rate=float(optimizer["lr"]) if weights else None,
    )


def _build_module(
    loss_config: Mapping[str, Any], part: str, instantiate: Callable[[Any], Any], num_classes: int
) -> nn.Module | None:
    config = loss_config.get(part)
    if config is None:
        return None
    try:
        # Converted: wrappers of losses want a list, and not OmegaConf's.
        module = instantiate({"_convert_": "all", **_with_classes(config, num_classes)})
    except Exception as error:
        cause = error.__cause__ or error
        raise ValueError(
            f"loss {loss_config['name']!r}: {config['_target_']} refuses its arguments: {cause}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"loss {loss_config['name']!r}: {config['_target_']} gives a {type(module).__name__}, "
            "not a torch.nn.Module."
        )
    return module


def _with_classes(config: Any, num_classes: int) -> Any:
    """Put the number in place of every `num_classes: null`, in nested objects too."""
    if isinstance(config, list):
        return [_with_classes(entry, num_classes) for entry in config]
    if not isinstance(config, Mapping):
        return config
    filled = {key: _with_classes(value, num_classes) for key, value in config.items()}
    if filled.get("num_classes", num_classes) is None:
        filled["num_classes"] = num_classes
    return filled


def distance_name(distance: distances.BaseDistance) -> str:
    """Name a pytorch-metric-learning distance as loss files do.

    Raises:
        ValueError: for a distance that saliency has no counterpart of.
    """
    if isinstance(distance, distances.CosineSimilarity):
        return "cosine"
    if isinstance(distance, distances.DotProductSimilarity):
        return "dot"
    if isinstance(distance, distances.SNRDistance):
        return "snr"
    if isinstance(distance, distances.LpDistance) and distance.p == 2:
        names = {1: "lp", 2: "lp_squared"}
        if distance.power in names:
            return names[distance.power]
    raise ValueError(
        f"no name for the distance {type(distance).__name__}(p={distance.p}, "
        f"power={distance.power}). Valid: L2, its square, cosine, dot product, SNR."
    )


def check_batch(
    loss: str, demands: BatchDemands, classes_per_batch: int, samples_per_class: int
) -> list[str]:
    """Raise unless a loss can learn from batches of P classes × K samples.

    Args:
        loss: its name.
        demands: what it demands of a batch.
        classes_per_batch: P.
        samples_per_class: K.

    Returns:
        Notes for the user about batches that work, but not as one might think.

    Raises:
        ValueError: naming the loss, what it demands and what the sampler gives.
    """
    given = f"the sampler gives {classes_per_batch} classes × {samples_per_class} samples"
    if classes_per_batch < demands.min_classes:
        raise ValueError(
            f"loss {loss!r} needs at least {demands.min_classes} classes in a batch; {given}."
        )
    if samples_per_class < demands.min_samples_per_class:
        raise ValueError(
            f"loss {loss!r} needs at least {demands.min_samples_per_class} samples of each "
            f"class in a batch; {given}."
        )
    if demands.classes_equal_samples and classes_per_batch != samples_per_class:
        raise ValueError(
            f"loss {loss!r} is right only for as many classes in a batch as samples of each; "
            f"{given}."
        )
    used = demands.used_samples_per_class
    if used is not None and samples_per_class > used:
        return [f"loss {loss!r} learns from {used} of each class's {samples_per_class} samples."]
    return []


def loss_value(
    criterion: nn.Module, miner: nn.Module | None, embeddings: Tensor, labels: Tensor
) -> Tensor:
    """Compute a loss out of autocast, which would cast its weights to half for good.

    In the precision of the loss's weights; where it has none, in at least float32.

    Args:
        criterion: module (embeddings, labels[, mined indices]) → scalar.
        miner: module (embeddings, labels) → mined indices, or None.
        embeddings: [B, D], any floating type.
        labels: [B], integers in 0 … C − 1.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if the criterion gives anything but one number.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        least = torch.promote_types(embeddings.dtype, torch.float32)
        weights = next(criterion.parameters(), None)
        embeddings = embeddings.to(least if weights is None else weights.dtype)
        mined = () if miner is None else (miner(embeddings, labels),)
        value = criterion(embeddings, labels, *mined)
    if not isinstance(value, Tensor) or value.numel() != 1:
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise ValueError(f"{type(criterion).__name__} must give one number, not {found}.")
    return value.reshape(())
