"""Cars from mesh files: read through trimesh, stood on the ground, materials matched by name."""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from lossprint.rendering.geometry import Car, Part

# Formats that hold nothing but geometry and materials, and whether their up axis is y (glTF by its
# specification, OBJ by custom) or z.
_Y_IS_UP = {".glb": True, ".gltf": True, ".obj": True, ".ply": False, ".stl": False, ".off": False}
# A model whose length is a car's is taken to be in metres; any other is scaled to the usual one.
_CAR_LENGTHS = (3.0, 7.0)
_USUAL_LENGTH = 4.6
PAINT = "paint"
# The first pattern found in a material's name decides.
_MATERIALS = tuple(
    (re.compile(pattern, re.IGNORECASE), material)
    for pattern, material in (
        (r"paint", PAINT),
        (r"glass|window|windscreen|windshield", "glass"),
        (r"tyre|tire|rubber", "tyre"),
        (r"chrome|mirror", "chrome"),
        (r"tail|rear.?light|brake.?light|stop.?light", "tail"),
        (r"lamp|light", "lamp"),
        (r"brake|disc|disk", "disc"),
        (r"\brim|alloy|wheel", "rim"),
        (r"plate", "plate"),
        (r"seat|leather", "seat"),
        (r"interior|cockpit|dash", "interior"),
        (r"trim|grill|bumper", "trim"),
        (r"plastic", "plastic"),
    )
)


@dataclass(frozen=True)
class MeshDesign:
    """A design that is a mesh file: its name, place and content's hash."""

    name: str
    path: Path
    sha256: str


def read_mesh_design(path: Path) -> MeshDesign:
    """The design that a file holds, after checking that it is a car that can be painted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `load_car`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"designs: there is no mesh file {path}")
    design = MeshDesign(path.stem, path.resolve(), hashlib.sha256(path.read_bytes()).hexdigest())
    load_car(design)
    return design


def load_car(design: MeshDesign) -> Car:
    """Read a mesh file as a car: nose towards +x, left side towards +y, standing on z = 0.

    The longer horizontal axis becomes x. In glTF and OBJ files +y is up and the nose is expected
    towards +z (or +x, if that axis is the longer one); in the others +z is up and the nose towards
    +x (or +y). A model that is 3 to 7 units long keeps its size, any other is scaled to 4.6 m.

    A material whose name contains `paint` takes the colour of the paint; glass, tyre, chrome and
    the like are known by their names too, and every other keeps its base colour, as material
    `rgb:<red>,<green>,<blue>` (linear, 0 to 1). A file without materials is painted all over.

    Raises:
        ValueError: an unknown format; the file cannot be read, has no faces, no extent or
            coordinates that are not finite, or has materials but none that is paint.
    """
    pieces = _read(design.path)
    to_car = _standing_on_the_ground(
        np.concatenate([piece.vertices for piece in pieces]),
        _Y_IS_UP[design.path.suffix.lower()],
        design.path,
    )
    by_material: dict[str, list[trimesh.Trimesh]] = defaultdict(list)
    names = [_material_name(piece) for piece in pieces]
    for piece, name in zip(pieces, names, strict=True):
        material = PAINT if not any(names) else _match(name, piece)
        by_material[material].append(piece.copy().apply_transform(to_car))
    if PAINT not in by_material:
        raise ValueError(
            f"{design.path}: none of its materials has 'paint' in its name, so nothing would take "
            f"the car's colour; they are {', '.join(sorted(set(filter(None, names))))}"
        )
    return Car(
        design.name,
        tuple(
            _part(number, material, by_material[material])
            for number, material in enumerate(sorted(by_material))
        ),
    )


def _read(path: Path) -> list[trimesh.Trimesh]:
    if path.suffix.lower() not in _Y_IS_UP:
        raise ValueError(
            f"{path}: format '{path.suffix}' is unknown; mesh files are {', '.join(_Y_IS_UP)}"
        )
    try:
        scene = trimesh.load_scene(path, process=False, allow_remote=False)
        pieces = [each for each in scene.dump() if isinstance(each, trimesh.Trimesh)]
    except Exception as error:  # readers of damaged files raise whatever they stumble over
        raise ValueError(f"{path}: cannot be read as a mesh ({error})") from error
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        raise ValueError(f"{path}: has no faces, so it is no mesh of a car")
    return pieces


def _standing_on_the_ground(vertices: np.ndarray, y_is_up: bool, path: Path) -> np.ndarray:
    """The transform [4, 4] from a file's vertices [V, 3] to a car's."""
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: has coordinates that are not finite numbers")
    # Rows say which axis of the file becomes x, y, z; both are rotations.
    turn = np.eye(3)[[2, 0, 1]] if y_is_up else np.eye(3)
    low, high = (vertices @ turn.T).min(axis=0), (vertices @ turn.T).max(axis=0)
    if high[1] - low[1] > high[0] - low[0]:
        turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ turn
        low, high = (vertices @ turn.T).min(axis=0), (vertices @ turn.T).max(axis=0)
    extent = high - low
    if extent.min() <= 0:
        raise ValueError(f"{path}: is flat, {' x '.join(f'{side:g}' for side in extent)}")
    shortest, longest = _CAR_LENGTHS
    scale = 1.0 if shortest <= extent[0] <= longest else _USUAL_LENGTH / extent[0]
    transform = np.eye(4)
    transform[:3, :3] = scale * turn
    transform[:3, 3] = -scale * np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return transform


def _material_name(piece: trimesh.Trimesh) -> str:
    material = getattr(piece.visual, "material", None)
    return getattr(material, "name", None) or ""


def _match(name: str, piece: trimesh.Trimesh) -> str:
    for pattern, material in _MATERIALS:
        if pattern.search(name):
            return material
    encoded = np.asarray(_main_color(piece.visual), dtype=np.float64)[:3] / 255.0
    # glTF's factors are linear already, yet trimesh and other formats give them as 8-bit sRGB.
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return "rgb:" + ",".join(f"{channel:.4f}" for channel in linear)


def _main_color(visual: Any) -> Any:
    material = getattr(visual, "material", None)
    return visual.main_color if material is None else material.main_color


def _part(number: int, material: str, pieces: list[trimesh.Trimesh]) -> Part:
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces])[:-1]
    return Part(
        name=material if material.isidentifier() else f"material_{number}",
        vertices=np.concatenate([piece.vertices for piece in pieces]).astype(np.float32),
        faces=np.concatenate(
            [piece.faces + start for piece, start in zip(pieces, starts, strict=True)]
        ).astype(np.uint32),
        normals=np.concatenate([piece.vertex_normals for piece in pieces]).astype(np.float32),
        material=material,
    )
