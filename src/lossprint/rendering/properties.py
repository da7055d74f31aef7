"""The ten properties of a rendered scene: names, units, valid ranges, default levels.

A property takes one of finitely many levels, so that every frame has a category for it; the
eleventh, the car's design (column `model`), has the designs as its levels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Property:
    """One property: `low` to `high` in `unit`, both valid unless marked open."""

    name: str
    unit: str
    low: float
    high: float
    levels: tuple[float, ...]
    low_is_open: bool = False
    high_is_open: bool = False

    @property
    def valid_range(self) -> str:
        """For example `(0, 90] degrees`."""
        opening, closing = "[("[self.low_is_open], "])"[self.high_is_open]
        return f"{opening}{self.low:g}, {self.high:g}{closing} {self.unit}"

    def admits(self, value: float) -> bool:
        above = value > self.low if self.low_is_open else value >= self.low
        below = value < self.high if self.high_is_open else value <= self.high
        return math.isfinite(value) and above and below


def _hue(name: str) -> Property:
    # Hue and rotation close upon themselves: their upper end is their lower end once more.
    levels = tuple(round(step / 8, 3) for step in range(8))
    return Property(name, "cycles", 0.0, 1.0, levels, high_is_open=True)


def _share(name: str, levels: tuple[float, ...]) -> Property:
    return Property(name, "of full", 0.0, 1.0, levels)


_PROPERTIES = (
    Property(
        "rotation_z",
        "degrees",
        0.0,
        360.0,
        tuple(30.0 * step for step in range(12)),
        high_is_open=True,
    ),
    _hue("color_hue"),
    _share("color_sat", (0.3, 0.6, 0.9)),
    _share("color_val", (0.2, 0.5, 0.8)),
    _hue("bg_color_hue"),
    _share("bg_color_sat", (0.0, 0.3, 0.6)),
    _share("bg_color_val", (0.3, 0.55, 0.8)),
    Property("camera_loc_z", "metres", 0.3, 8.0, (0.9, 1.6, 2.4, 3.2)),
    Property("sun_elevation", "degrees", 0.0, 90.0, (15.0, 30.0, 50.0, 70.0), low_is_open=True),
    Property(
        "sun_rotation",
        "degrees",
        -180.0,
        180.0,
        (-75.0, -45.0, -15.0, 15.0, 45.0, 75.0),
        low_is_open=True,
    ),
)
PROPERTIES: Mapping[str, Property] = {each.name: each for each in _PROPERTIES}


def complete_levels(
    levels: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, tuple[float, ...]]:
    """The levels of all ten properties, in their order: those given, the rest by default.

    Raises:
        ValueError: an unknown property, no level, a repeated one, or one out of the valid range.
    """
    levels = {} if levels is None else levels
    for name in levels:
        if name not in PROPERTIES:
            raise ValueError(
                f"levels: unknown property '{name}'; the properties are {', '.join(PROPERTIES)}"
            )
    return {
        name: _checked(known, levels[name]) if name in levels else known.levels
        for name, known in PROPERTIES.items()
    }


def _checked(known: Property, values: Sequence[float]) -> tuple[float, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) == 0:
        raise ValueError(
            f"levels: {known.name} needs a list of at least one number in {known.valid_range}, "
            f"got {values!r}"
        )
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not known.admits(value):
            raise ValueError(
                f"levels: {known.name} = {value!r} is outside its valid range {known.valid_range}"
            )
    numbers = tuple(float(value) for value in values)
    repeated = sorted({value for value in numbers if numbers.count(value) > 1})
    if repeated:
        raise ValueError(f"levels: {known.name} repeats {repeated[0]:g}; each level once")
    return numbers
