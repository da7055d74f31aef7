"""What configuration files ask for in `${…:}`: names made of other entries.

Registered when this module is imported; it is light, so that `train.py --cfg job --resolve` is.
"""

import hashlib
import re
from contextlib import suppress

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from lossprint.apps.settings import TrainingSettings, typed
from lossprint.rendering.sampling import shortcut_name

# What a run's folder already says, or what changes nothing in its result.
NOT_IN_SWEEP_NAME = (
    "loss", "data", "model", "seed", "fold", "force", "analyze", "logger", "sweep",
    "keep_checkpoints", "keep_levels",
    "output_root", "data_root", "search", "status", "retry_failed", "trust",
)  # fmt: skip
PARTLY_IN_SWEEP_NAME = ("loss", "data", "model")
"""Their choice is said already, single entries are not."""
LONGEST_SWEEP_NAME = 120


def sweep_name(*, _root_: DictConfig) -> str:
    """`<data>-<model>` and every other override: runs in one folder differ in loss, fold, seed.

    Values are written as their types have them, so that `true`, `True` and `1` name one sweep. The
    name has no character that a shell or Hydra wants quoted: `analyze.py runs=<name>` takes it.
    """
    name = f"{_root_.data.name}-{_root_.model.name}"
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    parsed = OverridesParser.create().parse_overrides(overrides)
    rest = sorted(_spelled(override, _root_) for override in parsed if _names_sweep(override))
    full = re.sub(r"[^a-zA-Z0-9_.+-]+", "-", "+".join([name, *rest]))
    if len(full) <= LONGEST_SWEEP_NAME:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]
    return f"{full[: LONGEST_SWEEP_NAME - 9]}-{digest}"


def _names_sweep(override: Override) -> bool:
    section, *below = override.get_key_element().lstrip("+~").split(".")
    return section not in NOT_IN_SWEEP_NAME or (bool(below) and section in PARTLY_IN_SWEEP_NAME)


def _spelled(override: Override, config: DictConfig) -> str:
    """`<name>=<value>`, the value as the configuration has it and not as it was typed."""
    key = override.get_key_element().lstrip("+~")
    value = OmegaConf.select(config, key)
    chosen = isinstance(value, DictConfig) and isinstance(override.value(), str)
    if override.is_delete() or chosen:
        return f"{key}={override.get_value_element_as_str()}"
    with suppress(ValueError):  # told where the configuration is checked
        value = OmegaConf.select(typed(config, TrainingSettings), key)
    if isinstance(value, bool) or value is None:
        return f"{key}={str(value).lower().replace('none', 'null')}"
    return f"{key}={value}"


def native(entry: str, name: str) -> list[float] | str:
    """`mean`, `std` or `interpolation` that a library says a network was trained with."""
    from lossprint.models.native import native_input  # takes PyTorch and timm: seconds

    seen = native_input(name)
    return seen.interpolation if entry == "interpolation" else list(seen.preprocessing[entry])


OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
OmegaConf.register_new_resolver("shortcut_name", shortcut_name, replace=True)
OmegaConf.register_new_resolver("native_input", native, replace=True)
