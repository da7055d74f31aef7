"""The configuration beside a run's record, read so that nothing in it can surprise its reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DEEPEST, LARGEST = 32, 100_000  # levels, entries: aliases can make a page of text endless
WIDEST = 63  # bits of a whole number

_NAMES, _TEXT, _FLAG, _WHOLE = (Mapping,), (str,), (bool,), (int,)
SHAPE: Mapping[str, tuple[type, ...]] = {
    "data": _NAMES,
    "data.name": (*_TEXT, type(None)),
    "data.size": _WHOLE,
    "data_root": _TEXT,
    "folds": _WHOLE,
    "loss": _NAMES,
    "loss.lineage": (*_TEXT, type(None)),
    "model": _NAMES,
    "model.embedding_size": (*_WHOLE, type(None)),
    "model.freeze_batchnorm": _FLAG,
    "model.name": _TEXT,
    "model.network": _NAMES,
    "model.preprocessing": _NAMES,
    "model.pretrained": _FLAG,
    "model.weights": (*_TEXT, type(None)),
    "num_classes": (*_WHOLE, type(None)),
    "probe": _NAMES,
    "probe.folder": _TEXT,
    "probe.limit": (*_WHOLE, type(None)),
    "probe.render": (*_NAMES, type(None)),
    "probe.short_side": (*_WHOLE, type(None)),
    "probe.size": _WHOLE,
    "seed": _WHOLE,
}
"""What later steps read of a configuration, and the type that each entry has where it is there."""

_WORDS = {Mapping: "a section", str: "text", bool: "true or false", int: "a whole number"}


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a `config.yaml` into plain containers.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged: no YAML, no sections, or an entry of another type than a
            training writes. The message names the file.
    """
    if not path.is_file():  # reading a pipe would wait for ever
        raise FileNotFoundError(f"{path} is missing")
    try:
        # libyaml's, where PyYAML has it: seven times as fast, of the same plain containers.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        _count(config)
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a run's configuration: {reason}") from error
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise ValueError(f"{path} is not a run's configuration: it holds no named sections")
    for name, types in SHAPE.items():
        *sections, last = name.split(".")
        holder: Any = config
        for section in sections:
            holder = holder.get(section) if isinstance(holder, Mapping) else None
        if not isinstance(holder, Mapping) or last not in holder:
            continue
        value = holder[last]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = " or ".join(_WORDS[kind] for kind in types if kind in _WORDS)
            raise ValueError(f"{path} is damaged: {name} is {str(value)[:60]!r}, not {wanted}")
    return config


def _count(value: Any, depth: int = 0, count: int = 0) -> int:
    """The number of entries below a value, aliases as often as they are named."""
    if isinstance(value, int) and value.bit_length() > WIDEST:
        raise ValueError(f"it holds a whole number of more than {WIDEST} bits")
    if depth > DEEPEST or count > LARGEST:
        raise ValueError(f"it is deeper than {DEEPEST} levels or longer than {LARGEST} entries")
    entries: Sequence[Any] = ()
    if isinstance(value, Mapping):
        entries = list(value.values())
    elif isinstance(value, list | tuple | set):
        entries = list(value)
    for entry in entries:
        count = _count(entry, depth + 1, count + 1)
    return count
