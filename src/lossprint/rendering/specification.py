"""What a rendered set is: everything that decides its pixels, checked, stored and compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossprint.files import whole_file
from lossprint.rendering.designs import Design, probe_designs, world_design
from lossprint.rendering.interventions import Intervention, block_length, intervene
from lossprint.rendering.properties import PROPERTIES, complete_levels
from lossprint.rendering.sampling import Scenes, draw_scenes, shortcut_name
from lossprint.rendering.user_designs import MeshDesign, read_mesh_design

SET_FILE = "set.json"
DEFAULT_COUNTS = {"world": 768, "probe": 240}
DEFAULT_BASE_SCENES = 12
DEFAULT_WORLD_DESIGNS = 48
DEFAULT_NOISE_DB = 37.5
# Raise it when designs, geometry, scene or renderer change what a frame looks like.
PIXELS_VERSION = 2


@dataclass(frozen=True)
class SetSpecification:
    """A set of rendered frames, as `specify` checked and resolved it."""

    kind: str
    count: int
    size: int
    seed: int
    designs: tuple[Design | MeshDesign, ...]
    levels: Mapping[str, tuple[float, ...]]
    samples: int | None
    noise_db: float | None
    interventions: bool
    shortcut: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short, for folders and files: the kind, the size and the seed."""
        kind = f"{self.kind}-interventions" if self.interventions else self.kind
        return f"{kind}-{self.size}px-seed{self.seed}{shortcut_name(self.shortcut)}"

    @property
    def design_names(self) -> tuple[str, ...]:
        return tuple(design.name for design in self.designs)

    @property
    def frames(self) -> int:
        """Number of frames, those of interventions among them."""
        if not self.interventions:
            return self.count
        return self.count * block_length(self.levels, len(self.designs))

    def scenes(self) -> tuple[Scenes, list[Intervention]]:
        """The scene of every frame, and what was moved in which (nothing in a drawn set)."""
        drawn = draw_scenes(
            self.count,
            seed=self.seed,
            levels=self.levels,
            designs=len(self.designs),
            balanced=self.kind == "world",
            shortcut=self.shortcut,
        )
        if not self.interventions:
            return drawn, []
        return intervene(drawn, levels=self.levels, designs=len(self.designs))

    def identity(self) -> dict[str, Any]:
        """What two sets must share to be the same set: all but the number of frames."""
        return {
            "kind": self.kind,
            "interventions": self.interventions,
            "seed": self.seed,
            "size": self.size,
            "designs": {
                design.name: f"sha256:{design.sha256}"
                if isinstance(design, MeshDesign)
                else design.body_type
                for design in self.designs
            },
            "levels": {name: list(values) for name, values in self.levels.items()},
            "shortcut": dict(self.shortcut),
            "noise_db": self.noise_db,
            **({} if self.samples is None else {"samples": self.samples}),
            "version": PIXELS_VERSION,
        }


def specify(
    *,
    kind: str,
    size: int,
    count: int | None = None,
    seed: int = 0,
    designs: int | Sequence[str | Path] | None = None,
    levels: Mapping[str, Sequence[float]] | None = None,
    samples: int | None = None,
    noise_db: float = DEFAULT_NOISE_DB,
    interventions: bool = False,
    shortcut: Mapping[str, float] | None = None,
) -> SetSpecification:
    """Check and resolve what a set shall be.

    Args:
        kind: "world" has many designs with equally many frames each; "probe" draws a design for
            each frame, independently, like a property.
        size: height and width in pixels, 16 to 4096.
        count: number of frames; with interventions, of base scenes. None takes 768 for a world,
            240 for a probe set, 12 base scenes.
        seed: of every draw, ≥ 0.
        designs: of a world: how many (default 48); or, for either kind, a list of probe designs'
            names and mesh files. A probe set's default are the six probe designs.
        levels: of some or all properties; the rest have their defaults.
        samples: per pixel; None lets `noise_db` decide.
        noise_db: the signal-to-noise ratio (PSNR, dB) to reach where `samples` is None, 10 to 55.
        interventions: follow each base scene with all the scenes that differ from it in exactly
            one property.
        shortcut: of a world: by property the probability, in (0, 1], that a frame has not any of
            its levels but the one that its design prefers: {"color_hue": 0.9} paints nine tenths
            of a design's cars alike, so that paint tells designs apart.

    Raises:
        ValueError: a value out of range, by name, with what would be valid.
        FileNotFoundError: a mesh file that is not there.
    """
    if kind not in DEFAULT_COUNTS:
        raise ValueError(f"kind = {kind!r} is unknown; it is one of {', '.join(DEFAULT_COUNTS)}")
    if count is None:
        count = DEFAULT_BASE_SCENES if interventions else DEFAULT_COUNTS[kind]
    check_whole_number("count", count, 1)
    check_whole_number("size", size, 16, 4096)
    check_whole_number("seed", seed, 0)
    if samples is not None:
        check_whole_number("samples", samples, 1)
    if not isinstance(interventions, bool):
        raise ValueError(f"interventions = {interventions!r} is neither true nor false")
    if isinstance(noise_db, bool) or not isinstance(noise_db, int | float):
        raise ValueError(f"noise_db = {noise_db!r} is not a number of decibels")
    if not 10 <= noise_db <= 55:
        raise ValueError(f"noise_db = {noise_db:g} is outside its valid range [10, 55] dB")
    return SetSpecification(
        kind=kind,
        count=count,
        size=size,
        seed=seed,
        designs=_choose_designs(kind, designs, seed),
        levels=complete_levels(levels),
        samples=samples,
        noise_db=float(noise_db) if samples is None else None,
        interventions=interventions,
        shortcut=_checked_shortcut(kind, shortcut or {}),
    )


def _checked_shortcut(kind: str, shortcut: Mapping[str, float]) -> dict[str, float]:
    if shortcut and kind != "world":
        raise ValueError(
            "shortcut: only a world takes one; the properties of a probe set are independent"
        )
    for name, share in shortcut.items():
        if name not in PROPERTIES:
            raise ValueError(
                f"shortcut: unknown property '{name}'; the properties are {', '.join(PROPERTIES)}"
            )
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise ValueError(f"shortcut: {name} = {share!r} is no probability above 0 and up to 1")
    return {name: float(share) for name, share in shortcut.items()}


def check_whole_number(name: str, value: object, low: int, high: int | None = None) -> None:
    """Raise a ValueError that names the value unless it is a whole number in the limits."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):  # type: ignore[operator]
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} = {value!r} is not valid; it is a whole number {limits}")


def _choose_designs(
    kind: str, designs: int | Sequence[str | Path] | None, seed: int
) -> tuple[Design | MeshDesign, ...]:
    if designs is None and kind == "probe":
        return tuple(probe_designs().values())
    if designs is None or isinstance(designs, int):
        if kind == "probe":
            raise ValueError(
                f"designs = {designs!r}: only a world takes a number of designs; a probe set takes "
                f"a list of names ({', '.join(probe_designs())}) and mesh files"
            )
        number = DEFAULT_WORLD_DESIGNS if designs is None else designs
        check_whole_number("designs", number, 1)
        return tuple(world_design(seed, each) for each in range(number))
    if isinstance(designs, str | Path) or len(designs) == 0:
        raise ValueError(
            f"designs = {designs!r} is not a list of probe designs' names and mesh files"
        )
    known = probe_designs()
    chosen = tuple(
        known[each] if isinstance(each, str) and each in known else read_mesh_design(Path(each))
        for each in designs
    )
    names = [design.name for design in chosen]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"designs: two are named '{repeated[0]}'; rename one of the files")
    return chosen


def store(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `set.json`."""
    with whole_file(folder / SET_FILE) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def stored(folder: Path) -> dict[str, Any] | None:
    """What the folder's `set.json` says; None without one.

    Raises:
        ValueError: it cannot be read, or there are images without it.
    """
    path = folder / SET_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / "images").exists():
            raise ValueError(
                f"{folder} has images but no {SET_FILE}, so it is no rendered set; "
                "choose another folder"
            ) from None
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(description, dict):
        raise ValueError(f"{path} cannot be read: it holds no table of names and values")
    return {"shortcut": {}, **description}  # sets that do not speak of shortcuts have none


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """In words, each entry of `wanted` that is not the same there."""
    found = []
    for name, value in wanted.items():
        other = there.get(name)
        if (
            isinstance(value, Mapping)
            and isinstance(other, Mapping)
            and value.keys() == other.keys()
        ):
            found += differences(other, value, f"{prefix}{name}.")
        elif value != other:
            found.append(f"{prefix}{name} ({_words(other)} there, {_words(value)} asked for)")
    return found


def _words(value: object) -> str:
    text = (", ".join(value) or "none") if isinstance(value, Mapping) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
