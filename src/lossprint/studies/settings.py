"""How much a study looks at, and how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self


@dataclass(frozen=True)
class MapSettings:
    """Saliency maps: see `lossprint.saliency.saliency_maps`.

    Attributes:
        images: how many probe images, the first of the set; None for all.
        samples: noisy copies of each.
        noise_level: standard deviation of the noise, as a share of the image's range.
        percentile: of each map, what becomes 1.
        precision: "exact" or "fast".
        seed: of the shared noise.
    """

    images: int | None = 500
    samples: int = 50
    noise_level: float = 0.15
    percentile: float = 99.0
    precision: Literal["exact", "fast"] = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        _check("maps.images", self.images, 1)
        _check("maps.samples", self.samples, 1)
        _choose("maps.precision", self.precision, ("exact", "fast"))


@dataclass(frozen=True)
class PropertySettings:
    """Normalized R-Precision: see `lossprint.metrics.normalized_r_precision`.

    Attributes:
        normalize: L2-normalize embeddings before the search.
        max_neighbors: cap of the search; None takes all R.
        variance: "binomial" as published, or "hypergeometric".
        significant: the study's mark on values of at least this much; None marks nothing.
    """

    normalize: bool = True
    max_neighbors: int | None = None
    variance: Literal["binomial", "hypergeometric"] = "binomial"
    significant: float | None = None

    def __post_init__(self) -> None:
        _check("properties.max_neighbors", self.max_neighbors, 1)
        _choose("properties.variance", self.variance, ("binomial", "hypergeometric"))


@dataclass(frozen=True)
class StudySettings:
    """What `conf/study/<name>.yaml` holds.

    Attributes:
        name: of the study.
        maps: how saliency maps are made.
        properties: how normalized R-Precision is computed.
        neighbors: nearest neighbours compared between embeddings.
        intervention_scenes: base scenes to re-render with one property changed; 0 for none.
        gallery: images shown in each gallery.
        draws: relabelings of a permutation test where not all can be tried.
        alpha: level at which the report speaks of a difference.
        seed: of permutations and resampling.
    """

    name: str = "full"
    maps: MapSettings = field(default_factory=MapSettings)
    properties: PropertySettings = field(default_factory=PropertySettings)
    neighbors: int = 10
    intervention_scenes: int = 0
    gallery: int = 8
    draws: int = 9999
    alpha: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        _check("neighbors", self.neighbors, 1)
        _check("intervention_scenes", self.intervention_scenes, 0)
        _check("gallery", self.gallery, 1)
        _check("draws", self.draws, 99)
        if not 0 < self.alpha < 1:
            raise ValueError(f"study.alpha={self.alpha} must lie between 0 and 1")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read plain containers, checked.

        Raises:
            ValueError: naming an unknown entry or an invalid value.
        """
        nested = {"maps": MapSettings, "properties": PropertySettings}
        _known("study", config, cls)
        values: dict[str, Any] = dict(config)
        for name, kind in nested.items():
            if name in values:
                _known(f"study.{name}", values[name], kind)
                values[name] = kind(**values[name])
        return cls(**values)

    def described(self) -> dict[str, Any]:
        """Every setting in plain containers."""
        return asdict(self)


def _known(where: str, config: Mapping[str, Any], kind: type) -> None:
    names = [item.name for item in fields(kind)]
    for key in config:
        if key not in names:
            raise ValueError(f"unknown {where}.{key}; valid are {', '.join(names)}")


def _check(name: str, value: int | None, least: int) -> None:
    if value is not None and (isinstance(value, bool) or value < least):
        raise ValueError(f"study.{name}={value} must be at least {least}")


def _choose(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ValueError(f"study.{name}={value!r} is unknown; valid are {', '.join(valid)}")
