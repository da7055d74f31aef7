"""Sets of hyperparameters that a search found, each selected by one word."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lossprint.files import whole_file
from lossprint.training.checks import check_keys, check_whole_number

NAMES = ("default", "published")
"""Of the hyperparameters that come with a loss; no search may be called so."""


def set_file(output_root: Path | str, name: str) -> Path:
    """Where a set of hyperparameters lies that a search found."""
    return Path(output_root) / "hyperparameters" / f"{name}.yaml"


def found_hyperparameters(output_root: Path | str, name: str, loss: str) -> dict[str, Any]:
    """What a search found for a loss, in the form of a loss file's `published`.

    Raises:
        ValueError: there is no such set, it is damaged, or it has nothing for the loss.
    """
    file = set_file(output_root, name)
    if not file.is_file():
        there = sorted(path.stem for path in file.parent.glob("*.yaml"))
        raise ValueError(
            f"hyperparameters={name!r} is unknown; valid are {', '.join([*NAMES, *there])}. "
            "A search makes new ones: docs/search.md"
        )
    try:
        sets = yaml.safe_load(file.read_text(encoding="utf-8"))
        found = sets.get(loss)
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as error:
        raise ValueError(f"{file} holds no hyperparameters: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"hyperparameters={name} has none for loss {loss!r}; it has them for "
            f"{', '.join(map(str, sets)) or 'no loss'}"
        )
    return found


def check_search(search: Mapping[str, Any], folds: int) -> None:
    """Raise unless the section `search` is valid.

    Raises:
        ValueError: naming the entry, its value and what would be valid.
    """
    check_keys("search.", search, ("name", "trials", "folds", "seeds", "seed"))
    name = search["name"]
    if not isinstance(name, str) or not name.replace("-", "").isidentifier() or name in NAMES:
        raise ValueError(
            f"search.name={name!r} must be a word of letters, digits, '_' and '-' that selects "
            f"what is found, and none of {', '.join(NAMES)}"
        )
    check_whole_number("search.trials", search["trials"], 1)
    check_whole_number("search.seed", search["seed"], 0)
    for key, limit in (("folds", folds - 1), ("seeds", 2**31 - 1)):
        if not isinstance(search[key], list) or not search[key]:
            raise ValueError(f"search.{key}={search[key]!r} must be a list such as [0,1]")
        for value in search[key]:
            check_whole_number(f"search.{key}", value, 0, limit)


def write_found(file: Path, loss: str, parameters: Mapping[str, Any]) -> None:
    """Put what was found for a loss into a set; what it has for other losses stays.

    Args:
        file: of the set.
        loss: name of the loss.
        parameters: values by dotted names, e.g. loss.criterion.margin.
    """
    sets = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        *sections, last = name.removeprefix("loss.").split(".")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    with whole_file(file) as temporary:
        temporary.write_text(yaml.safe_dump({**sets, loss: found}), encoding="utf-8")
