"""Procedural car designs: the dimensions and style from which a car's geometry is built.

A design is a class of the data set. Sixteen body types give each design its proportions; within a
type, dimensions and style vary continuously with a seeded generator. The six probe designs carry
their type's nominal proportions, which no drawn design repeats.

Lengths are metres. `cowl`, `screen_top`, `roof_rear` and `rear_base` are stations measured back
from the nose: foot and top of the windscreen, rear end of the roof, foot of the rear window.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

GRILLES = ("bars", "mesh", "split", "slim", "upright", "none")
LAMPS = ("almond", "slim", "round", "block")
TAILS = ("horizontal", "vertical", "strip", "round")


@dataclass(frozen=True)
class Design:
    """One car design. See the module's docstring for the measures."""

    name: str
    body_type: str
    length: float
    width: float
    height: float
    wheelbase: float
    front_overhang: float
    wheel_radius: float
    clearance: float
    cowl: float
    screen_top: float
    roof_rear: float
    rear_base: float
    hood_front: float
    cowl_height: float
    deck_height: float
    tumblehome: float  # degrees that the side windows lean inward
    pillars: tuple[float, ...]  # stations of the pillars behind the front door
    glass_end: float  # station where the side windows end
    blend: float = 0.12  # radius that rounds the body's edges
    plan_bow: float = 0.13  # curvature of nose and tail seen from above, 1/m
    flare: float = 0.022  # bulge around the wheel arches
    spokes: int = 7
    dark_rims: bool = False
    grille: str = "bars"
    lamps: str = "almond"
    tails: str = "horizontal"
    cladding: bool = False
    roof_rails: bool = False
    spoiler: bool = False
    spare_wheel: bool = False
    bed: bool = False
    open_top: bool = False
    cargo_height: float = 0.0  # top of a separate cargo box; 0 for none

    @property
    def front_axle(self) -> float:
        """Station of the front axle."""
        return self.front_overhang

    @property
    def rear_axle(self) -> float:
        """Station of the rear axle."""
        return self.front_overhang + self.wheelbase


# Columns: length, width, height, wheelbase, front overhang, wheel radius, clearance,
#          cowl, screen top, roof rear, rear base, hood front, cowl height, deck height, tumblehome
_TABLE = """
sedan        4.74  1.83  1.45  2.80  0.88  .330  0.16  1.34  2.10  3.18  3.94  0.73  0.93  0.99 20
hatchback    4.02  1.76  1.49  2.55  0.80  .315  0.17  1.02  1.72  3.42  3.90  0.74  0.97  1.02 17
coupe        4.44  1.90  1.27  2.60  0.92  .345  0.12  1.56  2.26  2.84  4.08  0.70  0.88  0.94 25
suv          4.56  1.95  1.82  2.72  0.84  .405  0.28  1.26  1.74  4.20  4.42  1.05  1.18  1.22 11
pickup       5.35  1.94  1.82  3.25  0.92  .395  0.30  1.45  2.00  2.98  3.20  1.04  1.18  1.20 14
van          4.95  1.94  1.98  3.05  0.88  .345  0.19  0.72  1.50  4.74  4.86  0.92  1.15  1.18 8
estate       4.74  1.82  1.46  2.80  0.88  .330  0.16  1.30  2.10  4.26  4.62  0.72  0.95  1.02 18
roadster     4.08  1.80  1.24  2.42  0.82  .325  0.12  1.46  1.98  2.10  2.20  0.70  0.88  0.93 20
minivan      4.72  1.86  1.72  2.90  0.88  .335  0.17  0.86  1.80  4.30  4.62  0.80  1.04  1.08 13
crossover    4.36  1.84  1.60  2.64  0.84  .365  0.21  1.14  1.84  3.52  4.20  0.86  1.05  1.14 17
city_car     3.30  1.62  1.54  2.24  0.58  .285  0.16  0.66  1.32  2.90  3.20  0.78  0.98  1.00 14
limousine    6.40  1.88  1.49  4.40  0.90  .345  0.17  1.36  2.14  5.00  5.68  0.76  0.97  1.04 19
box_truck    5.70  1.98  2.00  3.40  0.90  .365  0.24  0.74  1.38  2.02  2.14  0.96  1.18  1.16 8
crew_cab     5.60  1.96  1.86  3.45  0.94  .405  0.32  1.42  1.96  3.72  3.96  1.08  1.20  1.22 13
fastback     4.90  1.89  1.40  2.90  0.88  .350  0.14  1.36  2.20  3.16  4.60  0.72  0.92  1.00 22
off_roader   4.20  1.86  1.92  2.60  0.68  .415  0.32  1.36  1.56  4.02  4.08  1.10  1.18  1.20 5
"""
_PROPORTIONS = {
    body_type: tuple(float(number) for number in numbers)
    for body_type, *numbers in (line.split() for line in _TABLE.strip().splitlines())
}
_COLUMNS = tuple(field.name for field in fields(Design))[2:17]

# What the numbers above leave open: pillars behind the front door and the end of the side glass as
# fractions between screen top and rear base, and the type's own equipment.
_EQUIPMENT: dict[str, tuple[tuple[float, ...], float, dict[str, Any]]] = {
    "sedan": ((0.40,), 1.0, {}),
    "hatchback": ((0.42, 0.85), 1.0, {}),
    "coupe": ((0.50,), 1.0, {"blend": 0.15, "plan_bow": 0.19, "lamps": "slim", "grille": "slim"}),
    "suv": (
        (0.35, 0.67),
        1.0,
        {"cladding": True, "roof_rails": True, "blend": 0.09, "plan_bow": 0.08}
        | {"grille": "upright", "lamps": "block", "tails": "vertical"},
    ),
    "pickup": (
        (),
        1.0,
        {"bed": True, "blend": 0.06, "plan_bow": 0.07, "grille": "split", "lamps": "block"}
        | {"tails": "vertical"},
    ),
    "van": (
        (0.22,),
        0.22,
        {"blend": 0.10, "plan_bow": 0.08, "lamps": "block", "tails": "vertical"},
    ),
    "estate": ((0.34, 0.68), 1.0, {"tails": "vertical", "roof_rails": True}),
    "roadster": (
        (),
        0.0,
        {"open_top": True, "blend": 0.14, "plan_bow": 0.18, "lamps": "round", "grille": "mesh"}
        | {"tails": "round"},
    ),
    "minivan": ((0.33, 0.66), 1.0, {"tails": "vertical", "grille": "slim"}),
    "crossover": ((0.40, 0.76), 1.0, {"cladding": True, "lamps": "slim"}),
    "city_car": ((0.55,), 1.0, {"lamps": "round", "spokes": 5, "grille": "slim"}),
    "limousine": ((0.22, 0.50, 0.74), 1.0, {"grille": "upright", "tails": "strip"}),
    "box_truck": (
        (),
        1.0,
        {"cargo_height": 2.75, "blend": 0.08, "plan_bow": 0.07, "lamps": "block"}
        | {"tails": "vertical", "grille": "bars"},
    ),
    "crew_cab": (
        (0.48,),
        1.0,
        {"bed": True, "blend": 0.06, "plan_bow": 0.06, "grille": "mesh", "lamps": "block"}
        | {"tails": "vertical", "cladding": True},
    ),
    "fastback": ((0.36,), 1.0, {"tails": "strip", "spoiler": True, "lamps": "slim"}),
    "off_roader": (
        (0.34, 0.66),
        1.0,
        {"cladding": True, "spare_wheel": True, "blend": 0.055, "plan_bow": 0.04, "flare": 0.03}
        | {"lamps": "round", "tails": "vertical", "grille": "upright"},
    ),
}
BODY_TYPES = tuple(_PROPORTIONS)
PROBE_TYPES = ("sedan", "hatchback", "coupe", "suv", "pickup", "van")


def _nominal(body_type: str, name: str) -> Design:
    measures: dict[str, Any] = dict(zip(_COLUMNS, _PROPORTIONS[body_type], strict=True))
    fractions, glass_end, equipment = _EQUIPMENT[body_type]
    start, span = measures["screen_top"], measures["rear_base"] - measures["screen_top"]
    return Design(
        name=name,
        body_type=body_type,
        **measures,
        pillars=tuple(start + fraction * span for fraction in fractions),
        glass_end=start + glass_end * span,
        **equipment,
    )


def probe_designs() -> dict[str, Design]:
    """The six named designs of the probe set, by name, in a fixed order."""
    return {body_type: _nominal(body_type, body_type) for body_type in PROBE_TYPES}


def world_design(seed: int, number: int) -> Design:
    """Class `number` of the training world `seed`.

    Body types follow one another in cycles, so that any run of consecutive numbers holds about as
    many of each. A design depends on (seed, number) alone. Its name is `<body type>_<number>`.

    Raises:
        ValueError: if seed or number is negative.
    """
    if seed < 0 or number < 0:
        raise ValueError(f"seed and number must not be negative, got seed={seed}, number={number}")
    body_type = BODY_TYPES[number % len(BODY_TYPES)]
    return _vary(
        _nominal(body_type, f"{body_type}_{number:03d}"), np.random.default_rng([seed, number])
    )


def _vary(base: Design, rng: np.random.Generator) -> Design:
    """Move every measure of a nominal design a little and draw its style."""
    scale = rng.uniform(0.93, 1.07)  # the whole car's length
    height = base.height * rng.uniform(0.955, 1.045)
    lift = height - base.height
    stations = ("wheelbase", "front_overhang", "cowl", "screen_top", "roof_rear", "rear_base")
    moved: dict[str, Any] = {name: getattr(base, name) * scale for name in stations}
    moved["front_overhang"] += rng.uniform(-0.05, 0.05)
    moved["wheelbase"] += rng.uniform(-0.07, 0.07)
    moved["cowl"] += rng.uniform(-0.10, 0.10)
    moved["screen_top"] += rng.uniform(-0.09, 0.09)
    # The foot of the rear window keeps the tail behind it as long as the type has it.
    moved["roof_rear"] += rng.uniform(-0.14, 0.10)
    moved["rear_base"] += rng.uniform(-0.05, 0.03)
    moved["roof_rear"] = min(moved["roof_rear"], moved["rear_base"] - 0.06)

    def along(station: float) -> float:
        """Carry a station between screen top and rear base over to the new greenhouse."""
        fraction = (station - base.screen_top) / (base.rear_base - base.screen_top)
        return moved["screen_top"] + fraction * (moved["rear_base"] - moved["screen_top"])

    def choose(options: tuple[str, ...], usual: str) -> str:
        return usual if rng.uniform() < 0.4 else str(rng.choice(options))

    return replace(
        base,
        **moved,
        length=base.length * scale,
        width=base.width * rng.uniform(0.965, 1.035),
        height=height,
        wheel_radius=base.wheel_radius * rng.uniform(0.95, 1.07),
        clearance=base.clearance * rng.uniform(0.9, 1.15),
        hood_front=base.hood_front + 0.3 * lift + rng.uniform(-0.05, 0.05),
        cowl_height=base.cowl_height + 0.4 * lift + rng.uniform(-0.03, 0.04),
        deck_height=base.deck_height + 0.4 * lift + rng.uniform(-0.03, 0.05),
        tumblehome=base.tumblehome * rng.uniform(0.85, 1.15),
        pillars=tuple(along(station) for station in base.pillars),
        glass_end=along(base.glass_end),
        blend=base.blend * rng.uniform(0.65, 1.35),
        plan_bow=base.plan_bow * rng.uniform(0.7, 1.3),
        flare=base.flare * rng.uniform(0.5, 1.8),
        spokes=int(rng.integers(5, 12)),
        dark_rims=bool(rng.uniform() < 0.25),
        grille=choose(GRILLES, base.grille),
        lamps=choose(LAMPS, base.lamps),
        tails=choose(TAILS, base.tails),
        cladding=bool(rng.uniform() < (0.75 if base.cladding else 0.08)),
        roof_rails=bool(rng.uniform() < (0.7 if base.roof_rails else 0.05)),
        spoiler=bool(rng.uniform() < (0.8 if base.spoiler else 0.15)),
        cargo_height=base.cargo_height * rng.uniform(0.92, 1.1),
    )
