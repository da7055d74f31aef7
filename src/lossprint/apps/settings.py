"""What a training's configuration holds, and of which types: Hydra's structured configs.

Sections whose entries depend on what they configure (a loss, an optimizer, a trainer) are plain
mappings here and are checked by what takes them.
"""

from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_type_hints

from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lossprint.files import from_home
from lossprint.training.checks import check_keys

Section = dict[str, Any]


@dataclass
class PreprocessingSettings:
    """See `lossprint.data.transforms.Preprocessing`."""

    mean: list[float]
    std: list[float]
    channels: str
    scale: float


@dataclass
class ModelSettings:
    """See `lossprint.models.embedder.build_embedder`.

    Images are resized with `interpolation`; null is bilinear, the published protocols'.
    """

    name: str
    pretrained: bool
    weights: str | None
    embedding_size: int
    freeze_batchnorm: bool
    preprocessing: PreprocessingSettings
    weights_from: str | None = None
    interpolation: str | None = None


@dataclass
class DataSettings:
    """Images to train on, and how they are cut; `render` only where they are rendered."""

    name: str
    size: int
    short_side: int
    source: Section
    store: bool
    workers: int
    train_view: Section
    eval_view: Section
    render: Section | None = None
    protocol: Section | None = None


@dataclass
class ProbeSettings:
    """The probe set; see `lossprint.data.probe.read_probe_set`."""

    folder: str
    size: int
    short_side: int
    limit: int | None
    render: Section | None = None
    columns: Section = field(default_factory=dict)
    properties: Section = field(default_factory=dict)


@dataclass
class SamplerSettings:
    """See `lossprint.data.sampler.ClassBalancedBatches`."""

    classes_per_batch: int
    samples_per_class: int
    batches: int | None


@dataclass
class TrainingSettings:
    """All that `python train.py` takes; documented in `conf/train.yaml` and the files it names."""

    loss: Section
    data: DataSettings
    probe: ProbeSettings
    model: ModelSettings
    optimizer: Section
    schedule: Section
    sampler: SamplerSettings
    trainer: Section
    logger: Section
    seed: int
    fold: int
    folds: int
    hyperparameters: str
    data_root: str
    output_root: str
    sweep: str
    force: bool
    analyze: bool
    keep_checkpoints: bool
    callbacks: Section = field(default_factory=dict)
    experiment: Section | None = None
    search: Section | None = None
    status: str | None = None
    retry_failed: bool = False
    trust: bool = False
    keep_levels: int = 0
    num_classes: int | None = None


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def typed(config: DictConfig, schema: type) -> DictConfig:
    """A composed configuration whose values have the types of `schema`; not resolved yet.

    Raises:
        ValueError: an entry is unknown, or its value of another type; the message names both.
    """
    _check_known(config, schema)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), config)
    except OmegaConfBaseException as error:
        raise _told(error, config, schema) from error
    assert isinstance(merged, DictConfig)
    return merged


def resolved(config: DictConfig, schema: type) -> dict[str, Any]:
    """A composed configuration, typed by `schema` and resolved, as plain containers.

    Raises:
        ValueError: as `typed`; or an entry that has to be given is not.
    """
    try:
        return plain(typed(config, schema))
    except OmegaConfBaseException as error:
        raise _told(error, config, schema) from error


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration, resolved, as plain containers.

    Raises:
        ValueError: an entry that has to be given is not.
    """
    try:
        container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ValueError(f"{error.full_key} has no value: give it as {error.full_key}=…") from error
    assert isinstance(container, dict)
    return {str(key): from_home(value) for key, value in container.items()}


def _check_known(config: DictConfig, schema: type, where: str = "") -> None:
    kinds = get_type_hints(schema)
    names = [str(name) for name in config]
    check_keys(where, dict.fromkeys(names), list(kinds))
    for name in names:
        if OmegaConf.is_missing(config, name) or OmegaConf.is_interpolation(config, name):
            continue
        section = config[name]
        if is_dataclass(kinds[name]) and isinstance(section, DictConfig):
            _check_known(section, kinds[name], f"{where}{name}.")


def _told(error: OmegaConfBaseException, config: DictConfig, schema: type) -> ValueError:
    """The error in one line, naming the entry, its value and what would be valid."""
    key = error.full_key or ""
    kind: Any = schema
    for part in key.split("."):
        kind = get_type_hints(kind).get(part) if is_dataclass(kind) else None
    options = [option for option in get_args(kind) or (kind,) if option is not type(None)]
    if len(options) == 1 and options[0] in _KINDS:
        value = OmegaConf.select(config, key, throw_on_missing=False)
        or_null = " or null" if len(get_args(kind)) > 1 else ""
        return ValueError(f"{key}={value!r} must be {_KINDS[options[0]]}{or_null}")
    return ValueError(" ".join(str(error).split()))
