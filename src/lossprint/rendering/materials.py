"""Materials by name, as parameters of the principled BSDF; colours are linear RGB."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Material:
    """Parameters of Disney's principled BSDF (Burley 2012)."""

    color: tuple[float, float, float]
    roughness: float
    metallic: float = 0.0
    specular: float = 0.5
    clearcoat: float = 0.0
    clearcoat_gloss: float = 0.9
    clear: bool = False  # a pane instead, whose colour is what it lets pass


def _grey(value: float, roughness: float, **rest: Any) -> Material:
    return Material((value, value, value), roughness, **rest)


# Nothing is smoother than 0.1: a sharp highlight would throw caustics, which path tracing finds
# only by chance and leaves as bright specks on the ground.
MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        "paint": _grey(0.5, 0.25, metallic=0.5, specular=1.0, clearcoat=1.0, clearcoat_gloss=0.5),
        "glass": Material((0.60, 0.64, 0.63), 0.0, clear=True),
        "trim": _grey(0.012, 0.45),
        "gloss": _grey(0.02, 0.28),
        "plastic": _grey(0.035, 0.6),
        "cavity": _grey(0.006, 0.9, specular=0.1),
        "gap": _grey(0.008, 0.8, specular=0.1),
        "interior": _grey(0.02, 0.7, specular=0.2),
        "seat": Material((0.10, 0.06, 0.04), 0.6, specular=0.3),
        "bed": _grey(0.02, 0.7),
        "tyre": _grey(0.016, 0.75),
        "rim": _grey(0.60, 0.38, metallic=0.85),
        "dark_rim": _grey(0.05, 0.40, metallic=0.5),
        "disc": _grey(0.22, 0.5, metallic=0.8),
        "chrome": _grey(0.70, 0.34, metallic=1.0),
        "lamp": _grey(0.85, 0.35, clearcoat=0.6, clearcoat_gloss=0.3),
        "lens": _grey(0.50, 0.30, metallic=0.6, clearcoat=1.0, clearcoat_gloss=0.3),
        "tail": Material((0.30, 0.006, 0.008), 0.35, clearcoat=1.0, clearcoat_gloss=0.3),
        "plate": _grey(0.70, 0.5),
    }
)


def material_named(name: str) -> Material:
    """A material by name, or of a plain colour: `rgb:<red>,<green>,<blue>`, linear in [0, 1].

    Raises:
        ValueError: the name is neither.
    """
    if name in MATERIALS:
        return MATERIALS[name]
    kind, _, channels = name.partition(":")
    values = tuple(float(channel) for channel in channels.split(",")) if channels else ()
    if kind != "rgb" or len(values) != 3:
        raise ValueError(
            f"unknown material {name!r}; it is rgb:<red>,<green>,<blue> or one of "
            f"{', '.join(MATERIALS)}"
        )
    red, green, blue = values
    return Material((red, green, blue), 0.5)
