"""Cars from mesh files: read through trimesh, stood on the ground, materials matched by name."""

import hashlib
import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import trimesh

from lossprint.files import placeholder
from lossprint.rendering.geometry import Car, Part
from lossprint.rendering.geometry.mesh import Mesh, join
from lossprint.rendering.layout import srgb_to_linear

# Formats that hold nothing but geometry and materials, and whether their up axis is y (glTF by its
# specification, OBJ by custom) or z.
_Y_IS_UP = {".glb": True, ".gltf": True, ".obj": True, ".ply": False, ".stl": False, ".off": False}
# A model that is so many times as high as it is along the other of y and z lies on its side; where
# the format has a specification, only one that is so many times as high as it is long.
_SPECIFIED = {".glb", ".gltf"}
_TOO_HIGH = 1.4
# A piece that is thinner than this share of its length, and so many times as large as the rest both
# ways, is what the car stands on or in front of.
_FLAT, _LARGER = 0.02, 1.3
# Tiles of a ground lie no further inside of the car than this share of its height.
_INSIDE = 0.05
_GROUND = re.compile(r"ground|floor|plane|backdrop|road|studio", re.IGNORECASE)
_COMPRESSED = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
    "KHR_mesh_quantization": "quantization",
}
# A model whose length is a car's is taken to be in metres; any other is scaled to the usual one.
_CAR_LENGTHS = (3.0, 7.0)
_USUAL_LENGTH = 4.6
# Steps of coordinates beyond this share of the length are seen.
_COARSE = 1e-4
PAINT = "paint"

log = logging.getLogger(__name__)

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

    Says in a line what was taken for what.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `load_car`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"designs: there is no mesh file {path}")
    design = MeshDesign(path.stem, path.resolve(), hashlib.sha256(path.read_bytes()).hexdigest())
    log.info(_said(design.path, _taken(design)))
    return design


def load_car(design: MeshDesign) -> Car:
    """Read a mesh file as a car: nose towards +x, left side towards +y, standing on z = 0.

    The longer horizontal axis becomes x. In glTF and OBJ files +y is up and the nose is expected
    towards +z (or +x, if that axis is the longer one); in the others +z is up and the nose towards
    +x (or +y). A model that would be higher than a car is has the other of y and z up. A model
    that is 3 to 7 units long keeps its size, any other is scaled to 4.6 m. Flat pieces larger than
    all else, alone or together, a ground or a backdrop, are left out.

    A material whose name contains `paint` takes the colour of the paint; glass, tyre, chrome and
    the like are known by their names too, and every other keeps its base colour, as material
    `rgb:<red>,<green>,<blue>` (linear, 0 to 1). A file without materials is painted all over.

    Raises:
        ValueError: an unknown format; the file cannot be read, is compressed, has no faces, no
            extent or coordinates that are not finite, names materials of a file that is not there,
            or has materials but none that is paint.
    """
    taken = _taken(design)
    by_material: dict[str, list[trimesh.Trimesh]] = defaultdict(list)
    for piece, material in zip(taken.pieces, taken.materials, strict=True):
        by_material[material].append(piece.copy().apply_transform(taken.to_car))
    return Car(
        design.name,
        tuple(
            Part.of(
                material if material.isidentifier() else f"material_{number}",
                material,
                join(*(Mesh(p.vertices, p.faces, p.vertex_normals) for p in by_material[material])),
            )
            for number, material in enumerate(sorted(by_material))
        ),
    )


@dataclass(frozen=True, eq=False)
class _Taken:
    """A file's pieces and what they were taken for.

    Attributes:
        pieces: in the file's axes and units.
        materials: of each piece.
        names: of its material in the file.
        ground: names of what is left out.
        to_car: [4, 4] from the file's axes to a car's.
        y_is_up: or z is.
    """

    pieces: list[trimesh.Trimesh]
    materials: list[str]
    names: list[str]
    ground: list[str]
    to_car: np.ndarray
    y_is_up: bool


def _taken(design: MeshDesign) -> _Taken:
    path = design.path
    pieces, ground = _without_ground(_read(path))
    vertices = np.concatenate([piece.vertices for piece in pieces])
    y_is_up = _y_is_up(vertices, path)
    to_car = _standing_on_the_ground(vertices, y_is_up, path)
    names = [_material_name(piece) for piece in pieces]
    materials = [
        PAINT if not any(names) else _match(name, piece)
        for piece, name in zip(pieces, names, strict=True)
    ]
    if PAINT not in materials:
        raise ValueError(
            f"{path}: none of its materials has 'paint' in its name, so nothing would take "
            f"the car's colour; they are {', '.join(sorted(set(filter(None, names))))}. Rename the "
            "one of the body"
        )
    return _Taken(pieces, materials, names, ground, to_car, y_is_up)


def _said(path: Path, taken: _Taken) -> str:
    """`mine.glb: 4.20 x 1.80 x 1.40 m, y up; paint: CarPaint; glass: Window; …`."""
    vertices = np.concatenate([piece.vertices for piece in taken.pieces])
    scale = float(np.linalg.norm(taken.to_car[:3, 0]))
    sides = np.ptp(vertices @ taken.to_car[:3, :3].T, axis=0)
    size = " x ".join(f"{side:.2f}" for side in sides)
    kept = "" if abs(scale - 1) < 1e-6 else f", scaled by {scale:.3g}"
    said = [
        f"{path.name}: {size} m (length, width, height){kept}, {'y' if taken.y_is_up else 'z'} up"
    ]
    if not any(taken.names):
        said.append("no materials: painted all over, glass and tyres too")
        if any(getattr(piece.visual, "kind", None) in ("vertex", "face") for piece in taken.pieces):
            said.append("colours of vertices and faces are not looked at")
    else:
        found: dict[str, set[str]] = defaultdict(set)
        for material, name in zip(taken.materials, taken.names, strict=True):
            kind = "its own colour" if material.startswith("rgb:") else material
            found[kind].add(name or "without a name")
        said += [f"{kind}: {', '.join(sorted(found[kind]))}" for kind in sorted(found)]
        said += [f"no {kind} found" for kind in ("glass", "tyre") if kind not in found]
    finest = float(np.spacing(np.abs(vertices).max().astype(np.float32)))
    if finest > _COARSE * np.ptp(vertices, axis=0).max():
        said.append(
            f"coordinates up to {np.abs(vertices).max():.0f}, which float32 holds in steps of "
            f"{finest:.2g}: move the model to the origin for a smooth surface"
        )
    if taken.ground:
        said.append(f"left out as ground: {', '.join(taken.ground)}")
    return "; ".join([*said, "preview=true shows it"])


def _read(path: Path) -> list[trimesh.Trimesh]:
    suffix = path.suffix.lower()
    if suffix not in _Y_IS_UP:
        raise ValueError(
            f"{path}: format '{path.suffix}' is unknown; mesh files are {', '.join(_Y_IS_UP)}: "
            "Blender exports any model as .glb"
        )
    instead = placeholder(path)
    if instead is not None:
        raise ValueError(f"{path}: is {instead}")
    if suffix in _SPECIFIED:
        _refuse_elsewhere(path)
    if suffix == ".obj":
        _refuse_missing_materials(path)
    try:
        scene = trimesh.load_scene(path, process=False, allow_remote=False)
        pieces = [each for each in scene.dump() if isinstance(each, trimesh.Trimesh)]
    except Exception as error:  # readers of damaged files raise whatever they stumble over
        raise ValueError(f"{path}: cannot be read as a mesh ({_line(error)})") from error
    pieces = [piece for piece in pieces if len(piece.faces)]
    if not pieces:
        raise ValueError(f"{path}: has no faces, so it is no mesh of a car")
    for piece in pieces:
        if piece.vertices.shape[1:] != (3,):
            raise ValueError(f"{path}: has vertices that are not three coordinates each")
        if piece.faces.min() < 0 or piece.faces.max() >= len(piece.vertices):
            raise ValueError(f"{path}: has faces of vertices that are not there; export it anew")
        if not np.isfinite(piece.vertices).all():
            raise ValueError(f"{path}: has coordinates that are not finite numbers")
    return pieces


def _refuse_elsewhere(path: Path) -> None:
    """Geometry that is compressed, or in a file that is not there, told from the file's words."""
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".glb":
            if data[:4] != b"glTF":
                raise ValueError("it does not begin as a binary glTF; of text the suffix is .gltf")
            data = data[20 : 20 + int.from_bytes(data[12:16], "little")]
        content = json.loads(data)
        needed = [*content.get("extensionsRequired", ()), *content.get("extensionsUsed", ())]
        files = [buffer["uri"] for buffer in content.get("buffers", ()) if "uri" in buffer]
        absent = [
            uri
            for uri in files
            if not uri.startswith("data:") and not os.path.isfile(path.parent / unquote(uri))
        ]
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a mesh ({_line(error)})") from error
    if absent:
        raise ValueError(
            f"{path}: its geometry is in {absent[0]!r}, which is not beside it: put the file "
            "there, or export the model as .glb, which is one file"
        )
    for extension in needed:
        if extension in _COMPRESSED:
            raise ValueError(
                f"{path}: its geometry is compressed ({_COMPRESSED[extension]}, {extension}), "
                "which is not read. Open it in Blender and export it with compression switched off"
            )


def _refuse_missing_materials(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({_line(error)})") from error
    for name in re.findall(r"^mtllib[ \t]+(.+?)[ \t\r]*$", text, re.MULTILINE):
        file = path.parent / name
        if "\0" in name or not file.is_file():
            raise ValueError(
                f"{path}: its materials are in {name!r}, which is not beside it: put the file "
                f"there, or delete the line `mtllib {name}` to have the car painted all over"
            )


def _without_ground(pieces: list[trimesh.Trimesh]) -> tuple[list[trimesh.Trimesh], list[str]]:
    """Pieces but for flat ones that are larger than all others together, and their names."""
    kept = list(pieces)
    ground = []
    for piece in sorted(pieces, key=lambda each: -float(np.ptp(each.vertices, axis=0).max())):
        others = [each for each in kept if each is not piece]
        if others and _is_ground(piece, others):
            kept = others
            sides = " x ".join(f"{side:.3g}" for side in np.ptp(piece.vertices, axis=0))
            ground.append(f"{_piece_name(piece)} ({sides})")
    for axis in range(3):
        tiles = _tiles(kept, axis)
        kept = [piece for piece in kept if not any(piece is tile for tile in tiles)]
        if tiles:
            ground.append(f"{len(tiles)} tiles such as {_piece_name(tiles[0])}")
    return kept, ground


def _tiles(pieces: list[trimesh.Trimesh], axis: int) -> list[trimesh.Trimesh]:
    """Flat pieces on one side of the others that together are larger than they."""
    flat = [piece for piece in pieces if _thin_axis(piece) == axis]
    others = [piece for piece in pieces if _thin_axis(piece) != axis]
    if not flat or not others:
        return []
    rest = np.concatenate([piece.vertices for piece in others])
    low, high = rest.min(axis=0), rest.max(axis=0)
    slack = _INSIDE * (high - low)[axis]
    wide = [other for other in range(3) if other != axis]
    below = [each for each in flat if each.vertices[:, axis].max() <= low[axis] + slack]
    above = [each for each in flat if each.vertices[:, axis].min() >= high[axis] - slack]
    for tiles in filter(None, (below, above)):
        sides = np.ptp(np.concatenate([piece.vertices for piece in tiles]), axis=0)
        if all(sides[i] > _LARGER * (high - low)[i] for i in wide):
            return tiles
    return []


def _thin_axis(piece: trimesh.Trimesh) -> int | None:
    """The axis that a piece is flat along; None for one that is not flat."""
    sides = np.ptp(piece.vertices, axis=0)
    thin = int(np.argmin(sides))
    return thin if sides[thin] <= _FLAT * sides.max() else None


def _is_ground(piece: trimesh.Trimesh, others: Sequence[trimesh.Trimesh]) -> bool:
    sides, thin = np.ptp(piece.vertices, axis=0), _thin_axis(piece)
    if thin is None:
        return False
    rest = np.ptp(np.concatenate([each.vertices for each in others]), axis=0)
    wide = [axis for axis in range(3) if axis != thin]
    larger = 1.0 if _GROUND.search(_piece_name(piece)) else _LARGER
    return bool(rest[thin] > sides[thin]) and all(
        sides[axis] > larger * rest[axis] for axis in wide
    )


def _piece_name(piece: trimesh.Trimesh) -> str:
    return str(piece.metadata.get("name") or _material_name(piece) or "a plane")


def _y_is_up(vertices: np.ndarray, path: Path) -> bool:
    suffix = path.suffix.lower()
    usual = _Y_IS_UP[suffix]
    sides = np.ptp(vertices, axis=0)
    if suffix in _SPECIFIED:
        return bool(sides[1] <= _TOO_HIGH * max(sides[0], sides[2]))
    height, other = (sides[1], sides[2]) if usual else (sides[2], sides[1])
    return not usual if height > _TOO_HIGH * other and other > 0 else usual


def _standing_on_the_ground(vertices: np.ndarray, y_is_up: bool, path: Path) -> np.ndarray:
    """The transform [4, 4] from a file's vertices [V, 3] to a car's."""
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
    return str(getattr(material, "name", None) or "")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _match(name: str, piece: trimesh.Trimesh) -> str:
    for pattern, material in _MATERIALS:
        if pattern.search(name):
            return material
    encoded = np.asarray(_main_color(piece.visual), dtype=np.float64)[:3] / 255.0
    # glTF's factors are linear already, yet trimesh and other formats give them as 8-bit sRGB.
    return "rgb:" + ",".join(f"{channel:.4f}" for channel in srgb_to_linear(encoded))


def _main_color(visual: Any) -> Any:
    material = getattr(visual, "material", None)
    return visual.main_color if material is None else material.main_color
