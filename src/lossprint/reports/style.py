"""One look for every figure: a colour per loss, a marker and line style per family."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib
from matplotlib.colors import to_hex

FAMILIES = ("ranking", "classification", "control")
FAMILY_MARKERS: Mapping[str, str] = {"ranking": "o", "classification": "s", "control": "X"}
FAMILY_LINES: Mapping[str, str] = {"ranking": "-", "classification": "--", "control": ":"}
# Blue and orange are told apart under every common colour blindness, and by lightness in grey.
FAMILY_COLORS: Mapping[str, str] = {
    "ranking": "#1b5e9b",
    "classification": "#e08214",
    "control": "#6b6b6b",
}
SEQUENTIAL = "cividis"
OVERLAY = "inferno"

_GRADIENTS = {"ranking": "YlGnBu", "classification": "YlOrBr"}
_LIGHTEST, _DARKEST = 0.42, 1.0
_GOLDEN = 0.6180339887498949
_KNOWN = (
    *("contrastive", "triplet", "ntxent", "margin", "margin_per_class", "fastap"),
    *("snr_contrastive", "multi_similarity", "multi_similarity_miner"),
    *("arcface", "normalized_softmax", "proxy_nca", "cosface", "soft_triple", "proxy_anchor"),
)

MATPLOTLIB: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 144,
    "savefig.dpi": 144,
    # Makes the same figure the same file.
    "svg.hashsalt": "lossprint",
}


def loss_color(loss: str, family: str) -> str:
    """Return the colour of a loss, the same in every figure and beside any other losses.

    Ranking losses are blue to green, classification losses yellow to brown, controls grey; within
    a family the lightness differs. With many losses colours come close: figures also name them.
    """
    if family not in _GRADIENTS:
        return FAMILY_COLORS["control"]
    if loss in _KNOWN:
        position = (_KNOWN.index(loss) * _GOLDEN + 0.3) % 1.0
    else:
        position = zlib.crc32(loss.encode()) / 2**32
    gradient = matplotlib.colormaps[_GRADIENTS[family]]
    return to_hex(gradient(_LIGHTEST + position * (_DARKEST - _LIGHTEST)))


def family_rank(family: str) -> int:
    """Return the place of a family in every table and figure; unknown families come last."""
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def by_family(losses: Iterable[str], families: Mapping[str, str]) -> list[str]:
    """Sort losses by family (ranking, classification, control), then by name."""
    return sorted(set(losses), key=lambda loss: (family_rank(families[loss]), loss))


_NAMES = {
    "cka": "CKA",
    "map_at_r": "MAP@R",
    "r_precision": "R-Precision",
    "lp": "L2",
    "ntxent": "NT-Xent",
    "snr_contrastive": "SNR contrastive",
    "fastap": "FastAP",
}
_WORDS = {"bg": "background", "color": "colour", "loc": "", "sat": "saturation", "val": "value"}


def readable(name: str) -> str:
    """Return an identifier in words: `bg_color_hue` becomes `background colour hue`."""
    if "/" in name:
        return " ".join(readable(part) for part in name.split("/"))
    if name in _NAMES:
        return _NAMES[name]
    for metric, short in (("precision_at_", "P@"), ("recall_at_", "R@")):
        if name.startswith(metric):
            return short + name.removeprefix(metric)
    return " ".join(filter(None, (_WORDS.get(word, word) for word in name.split("_"))))
