"""Numbers, lists and sentences in words."""

from collections.abc import Iterable


def p_value(value: float) -> str:
    """Two significant digits, or that it is below 0.0001."""
    return f"{value:.2g}" if value >= 1e-4 else "below 0.0001"


def sentence(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]


def listing(items: Iterable[str]) -> str:
    """`a, b and c`."""
    *rest, last = list(items) or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def count(number: int, noun: str) -> str:
    """`1 loss`, `2 losses`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"
