"""How much of a probe set is looked at, and how."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


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

    Raises:
        ValueError: naming the attribute, its value and what would be valid.
    """

    images: int | None = 500
    samples: int = 50
    noise_level: float = 0.15
    percentile: float = 99.0
    precision: Literal["exact", "fast"] = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, images=self.images, samples=self.samples)
        one_of(("exact", "fast"), precision=self.precision)

    @property
    def method(self) -> dict[str, Any]:
        """How each map is made, as `saliency_maps` takes it."""
        return {name: value for name, value in asdict(self).items() if name != "images"}


@dataclass(frozen=True)
class PropertySettings:
    """Normalized R-Precision: see `lossprint.metrics.normalized_r_precision`.

    Attributes:
        normalize: L2-normalize embeddings before the search.
        max_neighbors: cap of the search; None takes all R.
        variance: "hypergeometric", under which chance has standard deviation 1, or "binomial" as
            published.
        significant: the study's mark on values of at least this much; None marks nothing.

    Raises:
        ValueError: naming the attribute, its value and what would be valid.
    """

    normalize: bool = True
    max_neighbors: int | None = None
    variance: Literal["binomial", "hypergeometric"] = "hypergeometric"
    significant: float | None = None

    def __post_init__(self) -> None:
        at_least(1, max_neighbors=self.max_neighbors)
        one_of(("binomial", "hypergeometric"), variance=self.variance)


def at_least(least: int, **values: Any) -> None:
    """Raise unless every named value is None or a number of at least `least`."""
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or value < least):
            raise ValueError(f"{name}={value} must be at least {least}")


def one_of(valid: tuple[str, ...], **values: Any) -> None:
    """Raise unless every named value is among `valid`."""
    for name, value in values.items():
        if value not in valid:
            raise ValueError(f"{name}={value!r} is unknown; valid are {', '.join(valid)}")
