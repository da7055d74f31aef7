"""How much a study looks at, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from lossprint.probing import MapSettings, PropertySettings
from lossprint.probing.settings import at_least, one_of
from lossprint.saliency.attributions import METHODS


@dataclass(frozen=True)
class StudySettings:
    """What `conf/study/<name>.yaml` holds.

    Attributes:
        name: of the study.
        maps: how saliency maps are made.
        properties: how normalized R-Precision is computed.
        neighbors: nearest neighbours compared between embeddings.
        intervention_scenes: base scenes to re-render with one property changed; 0 for none.
        ladder_images: images on which a few networks are held against their own floors and
            ceilings (other noise, shuffled weights, edges); 0 for none.
        stage_images: images on which networks are compared stage by stage; 0 for none.
        explainers: other methods by which losses are contrasted, see `attribution_maps`.
        explained_images: images on which they are.
        faithfulness_images: images of which networks lose what their maps mark; 0 for none.
        gallery: images shown in each gallery.
        neighbor_maps: images for which maps of the distance to a neighbour are made.
        draws: relabelings of a permutation test where not all can be tried.
        alpha: level at which the report speaks of a difference.
        seed: of permutations and resampling.
    """

    name: str = "full"
    maps: MapSettings = field(default_factory=MapSettings)
    properties: PropertySettings = field(default_factory=PropertySettings)
    neighbors: int = 10
    intervention_scenes: int = 0
    ladder_images: int = 0
    stage_images: int = 0
    explainers: Sequence[str] = ()
    explained_images: int = 8
    faithfulness_images: int = 0
    gallery: int = 8
    neighbor_maps: int = 0
    draws: int = 9999
    alpha: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(
            1,
            neighbors=self.neighbors,
            explained_images=self.explained_images,
            gallery=self.gallery,
        )
        if isinstance(self.explainers, str):
            raise ValueError(f"explainers={self.explainers} must be a list: [{self.explainers}]")
        for name in self.explainers:
            one_of(tuple(METHODS), explainers=name)
        at_least(
            0,
            intervention_scenes=self.intervention_scenes,
            ladder_images=self.ladder_images,
            stage_images=self.stage_images,
            faithfulness_images=self.faithfulness_images,
            neighbor_maps=self.neighbor_maps,
        )
        at_least(99, draws=self.draws)
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha={self.alpha} must lie between 0 and 1")

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
                values[name] = _made(kind, f"study.{name}", values[name])
        return _made(cls, "study", values)

    def described(self) -> dict[str, Any]:
        """Every setting in plain containers."""
        return asdict(self)


def _known(where: str, config: Mapping[str, Any], kind: type) -> None:
    names = [item.name for item in fields(kind)]
    for key in config:
        if key not in names:
            raise ValueError(f"unknown {where}.{key}; valid are {', '.join(names)}")


def _made(kind: type, where: str, values: Mapping[str, Any]) -> Any:
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error
