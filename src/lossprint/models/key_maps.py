"""From the names of weights in a file to those in a network: applied, and found out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from torch import Tensor

BY_ORDER = "by_order"
"""In place of a key map: the file's tensors in their order are the network's in its own."""

KeyMap = Mapping[str, str | None]

_PATTERN = "re:"
_COUNTER = "num_batches_tracked"
_PAIRS = 4
_KINDS = {"weight", "bias", "running_mean", "running_var", _COUNTER}
_NUMBER = re.compile(r"[\d.]+")
# What training frameworks keep among the weights that is no part of the network.
TRAINING_ONLY = (
    "criterion",
    "loss",
    "loss_fn",
    "miner",
    "metric",
    "metrics",
    "optimizer",
    "scaler",
)
CLASSIFIERS = ("classifier", "fc", "head", "heads", "last_linear", "_fc", "aux_classifier")


def rename_keys(state: Mapping[str, Tensor], key_map: KeyMap) -> dict[str, Tensor]:
    """Replace key prefixes; a prefix mapped to None drops its keys.

    The longest matching prefix decides, `""` matches everything. An entry `re:<pattern>` is a
    regular expression for whole keys, its replacement may refer to groups (`\\1`); the first that
    matches goes before all prefixes.

    >>> import torch
    >>> sorted(rename_keys({"module.a": torch.ones(1), "fc.b": torch.ones(1)},
    ...                    {"module.": "", "fc.": None}))
    ['a']
    >>> sorted(rename_keys({"layer3.w": torch.ones(1)}, {r"re:layer(\\d)(.*)": r"layers.\\1\\2"}))
    ['layers.3.w']

    Raises:
        ValueError: two keys end under the same name, or a regular expression is none.
    """
    patterns = [
        (_compiled(key), replacement)
        for key, replacement in key_map.items()
        if key.startswith(_PATTERN)
    ]
    prefixes = sorted((key for key in key_map if not key.startswith(_PATTERN)), key=len)[::-1]
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        target = _renamed(key, patterns, prefixes, key_map)
        if target is None:
            continue
        if target in renamed:
            raise ValueError(f"the key map sends two keys to {target!r}; one of them is {key!r}")
        renamed[target] = value
    return renamed


def read_key_map(given: KeyMap | str | None) -> KeyMap | str:
    """A key map as a configuration gives it: itself, the word `by_order`, or a YAML file of one.

    Raises:
        ValueError: it is none of them, or the file holds no mapping of text.
        FileNotFoundError: there is no such file.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        if given == BY_ORDER:
            return BY_ORDER
        path = Path(given)
        if not path.is_file():
            raise FileNotFoundError(
                f"key_map={given}: there is no such file; valid are prefixes "
                f"({{module.: '', fc.: null}}), the word {BY_ORDER}, or a YAML file of a mapping"
            )
        try:
            given = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(
                f"key map {path} is no YAML: {' '.join(str(error).split())}"
            ) from error
    if not isinstance(given, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str | None) for key, value in given.items()
    ):
        raise ValueError(
            f"key_map={given!r} must map names to names or null: {{module.: '', fc.: null}}"
        )
    return given


def by_order(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The file's tensors under the network's names, taken in order; None if shapes disagree.

    BatchNorm's counters count only where both have them. Tensors at the end of the file that the
    network has no place for, a classifier's, are left out.
    """
    counters = all(any(key.endswith(_COUNTER) for key in names) for names in (state, own))
    given = [key for key in state if counters or not key.endswith(_COUNTER)]
    names = [key for key in own if counters or not key.endswith(_COUNTER)]
    if len(given) < len(names):
        return None
    paired = list(zip(names, given, strict=False))
    agree = all(
        own[name].shape == state[key].shape and _same_kind(key, name) for name, key in paired
    )
    return {name: state[key] for name, key in paired} if agree else None


class Proposal(NamedTuple):
    """A way to read a file's weights into a network.

    Attributes:
        key_map: prefixes, or `by_order`.
        matched: how many of the network's tensors it fills.
        dropped: prefixes in the file that it leaves out.
    """

    key_map: KeyMap | str
    matched: int
    dropped: tuple[str, ...]

    def is_obvious(self, *, headless: bool = False) -> bool:
        """Whether names agree once wrappers' prefixes are gone, and nothing else is left out.

        Besides what is training's own, and the classifier where the network has none on purpose.
        """
        spare = (*TRAINING_ONLY, *(CLASSIFIERS if headless else ()))
        return (
            not isinstance(self.key_map, str)
            and all(not key or not value for key, value in self.key_map.items())
            and all(set(prefix.split(".")) & set(spare) for prefix in self.dropped)
        )

    def pasted(self, state: Mapping[str, Tensor]) -> str:
        """As an override, in quotes for a shell: `'models.key_map={module.: "", fc.: null}'`."""
        if isinstance(self.key_map, str):
            return f"models.key_map={self.key_map}"
        entries = ", ".join(
            f"{key}: " + ("null" if value is None else f'"{value}"')
            for key, value in _typeable(self.key_map, state).items()
        )
        return f"'models.key_map={{{entries}}}'"


def propose(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Proposal | None:
    """Find prefixes, or an order, by which every tensor of a network is in a file.

    Prefixes are looked for in pairs: names that agree from some dot on, with equal shapes. A few
    of them have to fill the whole network.

    Args:
        state: of the file.
        own: the network's state dict.

    Returns:
        None where nothing fills it.
    """
    wanted = [key for key in own if not key.endswith(_COUNTER)]
    prefixes = _prefixes(state, own, wanted)
    if prefixes is not None:
        dropped = _dropped(state, own, prefixes)
        renamed = rename_keys(state, prefixes | dict.fromkeys(dropped))
        key_map = {key: value for key, value in prefixes.items() if key or value}
        return Proposal(
            {**key_map, **dict.fromkeys(dropped)}, len(own.keys() & renamed.keys()), dropped
        )
    ordered = by_order(state, own)
    if ordered is None:
        return None
    return Proposal(BY_ORDER, len(ordered), tuple(list(state)[len(ordered) :]))


def _prefixes(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], wanted: Sequence[str]
) -> dict[str, str | None] | None:
    """Pairs of prefixes that together fill the network, the one that fills most first."""
    by_ending: dict[str, list[str]] = {}
    for key in state:
        for ending in _endings(key):
            by_ending.setdefault(ending, []).append(key)
    left, found = set(wanted), {}
    for _ in range(_PAIRS):
        pairs: Counter[tuple[str, str]] = Counter()
        for key in left:
            for ending in _endings(key):
                for other in by_ending.get(ending, ()):
                    if state[other].shape == own[key].shape:
                        pairs[other[: -len(ending)], key[: -len(ending)]] += 1
        pairs = Counter({pair: n for pair, n in pairs.items() if pair[0] not in found})
        if not pairs:
            return None
        # Of the pairs that fill as many, the shortest prefixes say most.
        (given, target), _count = max(
            pairs.items(), key=lambda item: (item[1], -len(item[0][0]) - len(item[0][1]))
        )
        found[given] = target
        reached = _reached(state, found)
        left = {key for key in wanted if key not in reached or reached[key].shape != own[key].shape}
        if not left:
            return dict(found)
    return None


def _reached(state: Mapping[str, Tensor], prefixes: KeyMap) -> dict[str, Tensor]:
    """As `rename_keys`, but of two keys under one name the first is taken."""
    ordered = sorted(prefixes, key=len)[::-1]
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        target = _renamed(key, [], ordered, prefixes)
        if target is not None:
            found.setdefault(target, value)
    return found


def _typeable(key_map: KeyMap, state: Mapping[str, Tensor]) -> dict[str, str | None]:
    """The same map without keys that a command line cannot have: an empty one, or a number."""
    found: dict[str, str | None] = {}
    for key, value in key_map.items():
        if key and not _NUMBER.fullmatch(key):
            found[key] = value
            continue
        longer = dict.fromkeys(
            key + "".join(name[len(key) :].partition(".")[:2])
            for name in state
            if name.startswith(key)
            and not any(name.startswith(other) for other in key_map if len(other) > len(key))
        )
        for each in longer:
            added = each[len(key) :]
            inner = {each: None if value is None else value + added}
            found |= _typeable(inner, state) if _NUMBER.fullmatch(each) else inner
    return found


def _dropped(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], prefixes: KeyMap
) -> tuple[str, ...]:
    """Prefixes of what a map would leave over, as short as they can be."""
    over: list[str] = []
    used: list[str] = []
    ordered = sorted(prefixes, key=len)[::-1]
    for key in state:
        target = _renamed(key, [], ordered, prefixes)
        (used if target in own else over).append(key)
    short: list[str] = []
    for key in over:
        if any(key.startswith(prefix) for prefix in short):
            continue
        for end in [match.end() for match in re.finditer(r"\.", key)] + [len(key)]:
            if not any(other.startswith(key[:end]) for other in used):
                short.append(key[:end])
                break
    return tuple(short)


def _same_kind(key: str, name: str) -> bool:
    """Whether two tensors may play the same part in their layers: no bias is a running mean."""
    kinds = key.rpartition(".")[2], name.rpartition(".")[2]
    return kinds[0] == kinds[1] or not set(kinds) <= _KINDS


def _endings(key: str) -> list[str]:
    """`a.b.c`, `b.c`, `c`."""
    parts = key.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _compiled(key: str) -> re.Pattern[str]:
    try:
        return re.compile(key.removeprefix(_PATTERN))
    except re.error as error:
        raise ValueError(f"key_map: {key!r} is no regular expression ({error})") from error


def _renamed(
    key: str,
    patterns: Sequence[tuple[re.Pattern[str], str | None]],
    prefixes: Sequence[str],
    key_map: KeyMap,
) -> str | None:
    for pattern, replacement in patterns:
        if match := pattern.fullmatch(key):
            if replacement is None:
                return None
            try:
                return match.expand(replacement)
            except (re.error, IndexError) as error:
                raise ValueError(
                    f"key_map: {replacement!r} cannot be filled in ({error})"
                ) from error
    prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
    if prefix is None:
        return key
    replacement = key_map[prefix]
    return None if replacement is None else replacement + key[len(prefix) :]
