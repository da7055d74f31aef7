"""What a run's configuration may build: runs are handed around, and must not bring code along.

A run folder, a W&B artifact or a sweep from elsewhere names the class of its network and the
folder that its probe set is rendered into. What is on the list of this file is made without
asking. Anything else is shown before its module is imported, and waits for `trust=true`. A run that
is trained again builds its loss, data, optimizer and callbacks too: only of what the configuration
files at hand name.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torchvision
import yaml
from hydra.core.hydra_config import HydraConfig

from lossprint.rendering.specification import SET_FILE
from lossprint.runs.record import RunRecord

NAMING_MAKERS = {
    "lossprint.models.backbones.build_backbone": "name",
    "lossprint.models.embedder.build_embedder": "name",
    "lossprint.models.native.native_network": "name",
    "timm.create_model": "model_name",
    "torchvision.models.get_model": "name",
}
"""Functions that are told by one argument which model they make."""
LONGEST_SHOWN = 100  # characters of a value


def check_trusted(
    records: Iterable[RunRecord],
    *,
    trust: bool,
    output_root: Path | str,
    typed: Mapping[str, Any] | None = None,
) -> None:
    """Raise if a run asks for what only its owner's word should allow. Imports nothing.

    Args:
        records: runs that are going to be analysed.
        trust: the user said that all of them may.
        output_root: below which this command writes.
        typed: the section `models` that the user gave with this command; what came out of it may
            build what it says.

    Raises:
        ValueError: naming the run's configuration and what it asks for.
    """
    if _is_word_given(trust):
        return
    own = _networks(typed or {})
    for record in records:
        if record.status != "finished" or not record.config_file.is_file():
            continue  # nothing is built of it
        try:
            config = record.config()
        except ValueError:
            continue  # damaged: it is named and left out
        asked = foreign_network(config, own=own)
        if asked is None and typed is None:
            asked = foreign_place(config, output_root)
        if asked is not None:
            raise _refused(record.config_file, asked)


def check_trained_again(
    records: Iterable[RunRecord], *, trust: bool, output_root: Path | str
) -> None:
    """Raise if training runs as their configurations say would run code of their owners'.

    Arguments are those of `check_trusted`.

    Raises:
        ValueError: naming the run's configuration and what it asks for.
    """
    if _is_word_given(trust):
        return
    for record in records:
        try:
            config = record.config()
        except (ValueError, FileNotFoundError):
            continue  # damaged: it is named when its turn comes
        asked = (
            foreign_code(config)
            or foreign_place(config, output_root)
            or foreign_place(config, output_root, images=True)
        )
        if asked is not None:
            raise _refused(record.config_file, asked)


def foreign_code(config: Mapping[str, Any]) -> str | None:
    """What a configuration would have run or looked up, in words, if no file here names it."""
    known = _targets_at_hand()
    for place, value in _commands(config):
        if not isinstance(value, str) or value not in known:
            return f"would run {place}: {_shown(value)}, which no configuration file here names"
    return None


def _commands(entry: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each `_target_` and each interpolation below an entry, with its place."""
    if isinstance(entry, Mapping | list | tuple):
        parts = entry.items() if isinstance(entry, Mapping) else enumerate(entry)
        for key, value in parts:
            below = f"{place}.{key}" if place else str(key)
            if key == "_target_":
                yield below, value
            else:
                yield from _commands(value, below)
    elif isinstance(entry, str) and "${" in entry:
        yield place, entry


def _targets_at_hand() -> set[str]:
    """Every `_target_` in the configuration files that a command is composed of."""
    if not HydraConfig.initialized():
        return set()
    folders = [s.path for s in HydraConfig.get().runtime.config_sources if s.schema == "file"]
    return {target for folder in folders for target in _targets_below(folder)}


@cache
def _targets_below(folder: str) -> frozenset[str]:
    return frozenset(
        target
        for path in Path(folder).rglob("*.yaml")
        for _, target in _commands(yaml.safe_load(path.read_text(encoding="utf-8")))
        if isinstance(target, str)
    )


def _is_word_given(trust: Any) -> bool:
    if not isinstance(trust, bool):
        raise ValueError(f"trust={trust!r} must be true or false")
    return trust


def _refused(file: Path, asked: str) -> ValueError:
    return ValueError(
        f"{file} {asked}. If you know where it comes from and what that does, allow it with "
        "trust=true"
    )


def _networks(typed: Mapping[str, Any]) -> list[Any]:
    """Sections `network` of a section `models`: the shared one and those of single checkpoints."""
    entries = typed.get("checkpoints") or []
    sections = [typed.get("model"), *entries]
    return [section.get("network") for section in sections if isinstance(section, Mapping)]


def foreign_network(config: Mapping[str, Any], *, own: Collection[Any] = ()) -> str | None:
    """What a run's network is built with, in words, if it could run anybody's code; else None.

    Args:
        config: of the run.
        own: sections `network` that the user vouches for.
    """
    model = config.get("model")
    if not isinstance(model, Mapping) or "network" not in model or model["network"] in own:
        return None
    network = model["network"]
    if not isinstance(network, Mapping) or not isinstance(network.get("_target_"), str):
        return f"builds model.network from {_shown(network)}, which names no function"
    target = network["_target_"]
    if target not in model_makers():
        arguments = ", ".join(f"{k}={_shown(v)}" for k, v in network.items() if k != "_target_")
        return f"would run {target!r} with the arguments ({arguments}) to build its network"
    naming = NAMING_MAKERS.get(target)
    for name, value in network.items():
        if name in ("_target_", "_convert_"):
            continue
        if str(name).startswith("_") or not (
            _is_registered(value) if name == naming else _is_plain(value)
        ):
            return f"hands {name}={_shown(value)} to {target}, which is no plain number or flag"
    return None


@cache
def model_makers() -> frozenset[str]:
    """The dotted names that a run may build its network with: each makes a model and no more."""
    makers = {"lossprint.models.bn_inception.BNInception", *NAMING_MAKERS}
    for name in torchvision.models.list_models(module=torchvision.models):
        maker = torchvision.models.get_model_builder(name)
        makers |= {f"torchvision.models.{maker.__name__}", f"{maker.__module__}.{maker.__name__}"}
    for name in timm.list_models():
        module = timm.model_entrypoint(name).__module__
        makers |= {f"timm.models.{name}", f"{module}.{name}"}
    return frozenset(makers)


def foreign_place(
    config: Mapping[str, Any], output_root: Path | str, *, images: bool = False
) -> str | None:
    """What a run's probe set would be written into, in words, if it is a place of somebody else's.

    A rendered set that is there is continued. A new one is only made below the working folder,
    $LOSSPRINT_DATA or `output_root`. (Decoded images are no danger: their files are named by what
    they hold.)

    Args:
        config: of the run.
        output_root: below which this command writes.
        images: of the images that it was trained on, in place of its probe set.
    """
    section = config.get("data" if images else "probe")
    if not isinstance(section, Mapping) or section.get("render") is None:
        return None
    source = section.get("source")
    place = source.get("root") if images and isinstance(source, Mapping) else section.get("folder")
    folder = Path(str(place)).resolve()
    homes = [Path.cwd(), Path(output_root)]
    if "LOSSPRINT_DATA" in os.environ:
        homes.append(Path(os.environ["LOSSPRINT_DATA"]))
    if (folder / SET_FILE).is_file() or any(folder.is_relative_to(h.resolve()) for h in homes):
        return None
    return (
        f"has its {'images' if images else 'probe set'} rendered into {_shown(str(folder))}, "
        "where there is none, and which is not below this folder"
    )


def _is_registered(value: Any) -> bool:
    """Whether a name is one of a library's own models: no file, folder or hub of anybody's."""
    if not isinstance(value, str):
        return False
    bare = value.removeprefix("timm:").partition(".")
    is_ours = value.removeprefix("torchvision:") in (
        "bn_inception",
        *torchvision.models.list_models(module=torchvision.models),
    )
    is_timms = timm.is_model(bare[0]) and all(c.isalnum() or c == "_" for c in bare[0] + bare[2])
    return is_ours or is_timms


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float)


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
