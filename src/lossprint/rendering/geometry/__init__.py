"""Car geometry: implicit shells, details laid onto them, and the parts they are built into."""

from lossprint.rendering.geometry.car import Car, Part, build_car

__all__ = ["Car", "Part", "build_car"]
