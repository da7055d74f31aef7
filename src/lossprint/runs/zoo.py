"""Architectures of libraries as entries of a comparison, each with its own input."""

from collections.abc import Mapping
from typing import Any

from lossprint.runs.imported_checkpoint import Checkpoint, listed_checkpoints


def zoo_checkpoints(section: Mapping[str, Any]) -> list[Checkpoint]:
    """The networks that `models=zoo` compares.

    Args:
        section: `names`, a list of `timm:<model>`, `torchvision:<model>` or other names that
            `native_network` knows; or, to say more, of the attributes of `Checkpoint` with `name`
            in place of `network`; `pretrained`, whether those without `weights` get the library's;
            `key_map` as in `listed_checkpoints`.

    Returns:
        One per entry: "loss" is its name, family and distance are those of a classifier unless
        given, and "control" for a network that stays random.

    Raises:
        ValueError, FileNotFoundError: see `listed_checkpoints`; or an entry has no name.
    """
    if not isinstance(section["pretrained"], bool):
        raise ValueError(f"models.pretrained={section['pretrained']!r} must be true or false")
    if not isinstance(section["names"], list):
        raise ValueError(
            f"models.names={section['names']!r} must be a list: models.names=[{section['names']}]"
        )
    entries = []
    for position, given in enumerate(section["names"]):
        entry = dict(given) if isinstance(given, Mapping) else {"name": given}
        name = entry.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(
                f"models.names[{position}]={given!r} must be a name, timm:<model> or "
                "torchvision:<model>, or hold one as `name`"
            )
        random = entry.get("weights") is None and not section["pretrained"]
        own = {
            "weights": None,
            "loss": name.rpartition(":")[2],
            "family": "control" if random else "classification",
            "distance": "cosine",
        }
        entries.append({**own, **entry, "network": name})
    return listed_checkpoints(
        {"checkpoints": entries, "key_map": section["key_map"]}, where="models.names"
    )
