"""One look for every figure: a colour per loss, a marker and line style per family."""

import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike
from skimage.color import lab2rgb, rgb2lab

FAMILIES = ("ranking", "classification", "control")
FAMILY_MARKERS: Mapping[str, str] = {"ranking": "o", "classification": "s", "control": "X"}
FAMILY_GLYPHS: Mapping[str, str] = {"ranking": "●", "classification": "■", "control": "✖"}
FAMILY_LINES: Mapping[str, str] = {"ranking": "-", "classification": "--", "control": ":"}
# Blue and orange are told apart under every common colour blindness, and by lightness in grey.
FAMILY_COLORS: Mapping[str, str] = {
    "ranking": "#1b5e9b",
    "classification": "#e08214",
    "control": "#6b6b6b",
}
SEQUENTIAL = "cividis"
OVERLAY = "inferno"

_HUES = {"ranking": (150, 310), "classification": (10, 100)}
"""Degrees of hue in CIELAB: green over blue to violet, red over orange to yellow."""
_KNOWN: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("contrastive", "triplet", "ntxent", "margin", "margin_per_class", "fastap"),
            *("snr_contrastive", "multi_similarity", "multi_similarity_miner"),
        ),
        "ranking",
    ),
    **dict.fromkeys(
        ("arcface", "normalized_softmax", "proxy_nca", "cosface", "soft_triple", "proxy_anchor"),
        "classification",
    ),
    "untrained": "control",
}
"""Losses of the study with their families: their colours are the same in every report."""

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


def loss_colors(families: Mapping[str, str]) -> dict[str, str]:
    """Give every loss of a report its colour, no two alike.

    Ranking losses are green to violet, classification losses red to yellow, controls grey. The
    losses of the study keep theirs from report to report. Each other loss, by name, gets the
    colour of its family that is furthest (in CIELAB) from all that are given already.

    Args:
        families: of all losses of the report, so that its figures agree.
    """
    fixed = {loss: family for loss, family in _KNOWN.items() if families.get(loss) == family}
    known = _known_colors()
    others = {loss: families[loss] for loss in sorted(families) if loss not in fixed}
    return _assigned(others, {loss: known[loss] for loss in fixed})


@cache
def _known_colors() -> dict[str, str]:
    return _assigned(_KNOWN, {})


def _assigned(families: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    colors = dict(given)
    for loss, family in families.items():
        pool = _pool(family)
        taken = [_lab(color) for color in colors.values()] or [np.array([100.0, 0.0, 0.0])]
        apart = np.linalg.norm(pool[:, None] - np.stack(taken)[None], axis=-1).min(1)
        colors[loss] = to_hex(np.clip(lab2rgb(pool[apart.argmax()]), 0, 1))
    return colors


@cache
def _pool(family: str) -> np.ndarray:
    """CIELAB colours [P, 3] of a family that a screen shows and that are read on white."""
    if family not in _HUES:
        return np.array([(lightness, 0.0, 0.0) for lightness in (45, 30, 60, 15, 70, 37, 52, 22)])
    low, high = _HUES[family]
    pool = np.array(
        [
            (lightness, chroma * np.cos(hue), chroma * np.sin(hue))
            for lightness in range(22, 80, 7)
            for chroma in (22, 38, 54, 70)
            for hue in np.radians(np.arange(low, high + 1, 10))
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours that no screen shows: they are dropped here
        shown = lab2rgb(pool[:, None])[:, 0]
    return pool[np.abs(rgb2lab(shown[:, None])[:, 0] - pool).max(1) < 1.0]


def _lab(color: str) -> np.ndarray:
    return rgb2lab(np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)]], dtype=np.uint8))[0]


def ink(color: ArrayLike) -> str:
    """What is written on a colour, RGB in [0, 1]: black on light ones, white on dark ones."""
    return (
        "#000000" if np.dot(np.asarray(color)[:3], (0.2126, 0.7152, 0.0722)) > 0.45 else "#ffffff"
    )


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
    # Properties of rendered scenes, as the README calls them.
    "model": "car model",
    "rotation_z": "rotation of the car",
    "color_hue": "paint hue",
    "color_sat": "paint saturation",
    "color_val": "paint brightness",
    "bg_color_hue": "background hue",
    "bg_color_sat": "background saturation",
    "bg_color_val": "background brightness",
    "sun_rotation": "direction of the sun",
    "sun_elevation": "height of the sun",
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
