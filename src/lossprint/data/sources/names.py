"""Names as people give them: text that YAML takes for numbers, one word in two spellings."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_SHOWN = 20


def named(given: Sequence[Any], names: Sequence[str], *, setting: str) -> list[str]:
    """The names that a list of values means.

    A value is the name that is its text, in whichever of Unicode's forms. A number, truth value
    or null, which is what a configuration makes of `13`, `1.10` or `true`, is the name that reads
    like it.

    Args:
        given: values of a configuration.
        names: that there are.
        setting: where the values were given.

    Raises:
        ValueError: a value means no name, or several; the message gives them.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ValueError(f"{setting}={given!r} must be a list of names: {setting}=[{given}]")
    return [_named(value, names, setting) for value in given]


def composed(name: str) -> str:
    """In the Unicode form in which an é is one character: macOS writes names of files with two."""
    return unicodedata.normalize("NFC", name)


def lookalikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ in nothing but case, spaces, or how a number is written.

    >>> lookalikes(["Ash", "007", "ash", "fir", "7"])
    [['Ash', 'ash'], ['007', '7']]
    """
    groups: dict[str | float, list[str]] = {}
    for name in names:
        groups.setdefault(_seen(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _seen(name: str) -> str | float:
    seen = composed(name).casefold().strip()
    try:
        number = float(seen)
    except ValueError:
        return seen
    return number if math.isfinite(number) else seen


def _named(value: Any, names: Sequence[str], setting: str) -> str:
    if isinstance(value, str):
        alike = [name for name in names if composed(name) == composed(value)]
    else:
        alike = [name for name in names if name == str(value)]
        alike = alike or [name for name in names if _reads_as(name, value)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        choice = " or ".join(f"'{name}'" for name in alike)
        raise ValueError(f"{setting} names {value!r}, which may be {choice}: put it in quotes")
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    raise ValueError(f"{setting} names {value!r}, which is no class; the classes are {shown}")


def _reads_as(name: str, value: Any) -> bool:
    lowered = name.lower()
    if lowered in _WORDS:
        return _WORDS[lowered] is value
    if value is None or isinstance(value, bool):
        return False
    try:
        return float(name) == value
    except ValueError:
        return False
