"""Meshes as people export them: what was taken for what is said, what is not read is refused."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from lossprint.rendering.user_designs import load_car, read_mesh_design


def box(extents, centre=(0, 0, 0), material: str | None = "paint") -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents)
    mesh.apply_translation(centre)
    if material is not None:
        mesh.visual = TextureVisuals(material=PBRMaterial(name=material))
    return mesh


def plane(along: float, across: float, material: str, up: str = "y") -> trimesh.Trimesh:
    """Flat in glTF's axes: on the ground, or (up="z") a wall behind."""
    extents = (across, 0.0, along) if up == "y" else (across, along, 0.0)
    return box(extents, material=material)


def write(path: Path, pieces: dict[str, trimesh.Trimesh], transforms: dict | None = None) -> Path:
    scene = trimesh.Scene()
    for name, piece in pieces.items():
        scene.add_geometry(
            piece, node_name=name, geom_name=name, transform=(transforms or {}).get(name)
        )
    scene.export(path)
    return path


def sides(path: Path) -> np.ndarray:
    car = load_car(read_mesh_design(path))
    return np.ptp(np.concatenate([part.vertices for part in car.parts]), axis=0)


CAR = (1.8, 1.4, 4.2)  # in glTF's axes: across, up, along


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("Ground", plane(20, 20, "asphalt")),
        ("floor", plane(4.5, 2.0, "tiles")),  # little larger, known by its name
        ("Cyc", box((30, 0.05, 30), (0, -0.7, 0), "white")),
        ("Wall", plane(12, 12, "brick", up="z")),
    ],
)
def test_what_the_car_stands_on_is_left_out(
    name: str, flat: trimesh.Trimesh, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "mine.glb", {"body": box(CAR), name: flat})
    np.testing.assert_allclose(sides(path), (4.2, 1.8, 1.4), atol=1e-4)
    assert f"left out as ground: {name} (" in said.text


@pytest.mark.parametrize("across", [1, 2, 8])
def test_a_ground_of_tiles_is_left_out(
    across: int, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    side = 24 / across
    steps = side * (np.arange(across) - (across - 1) / 2)
    tiles = {
        f"tile {i} {j}": box((side, 0.01, side), (x, -0.7, z), "asphalt")
        for i, x in enumerate(steps)
        for j, z in enumerate(steps)
    }
    roof = box((1.6, 0.01, 2.0), (0, 0.7, 0), "trim")  # flat, too, and the car's
    path = write(tmp_path / "mine.glb", {"body": box(CAR), "roof": roof, **tiles})
    np.testing.assert_allclose(sides(path), (4.2, 1.8, 1.405), atol=1e-4)
    assert "left out as ground: " in said.text
    assert (f"{across**2} tiles such as tile" in said.text) == (across > 1)


def far(path: Path) -> Path:
    return write(path, {"body": box(CAR, (4e5, 0, 0))})


def coloured(path: Path) -> Path:
    mesh = trimesh.creation.box(CAR)
    mesh.visual.vertex_colors = np.full((len(mesh.vertices), 4), 200, np.uint8)
    mesh.export(path)
    return path


@pytest.mark.parametrize(
    ("make", "suffix", "told"),
    [
        (far, ".glb", "coordinates up to 400001, which float32 holds in steps of 0.031: move the"),
        (coloured, ".glb", "colours of vertices and faces are not looked at"),
        (coloured, ".ply", "colours of vertices and faces are not looked at"),
        (lambda path: write(path, {"b": box((1.8, 4.2, 1.4))}), ".glb", "1.40 m (length, width"),
        (lambda path: write(path, {"b": box((1.8, 4.2, 1.4))}), ".glb", "height), z up"),
    ],
)
def test_what_is_odd_about_a_file_is_said(
    make: Callable[[Path], Path],
    suffix: str,
    told: str,
    tmp_path: Path,
    said: pytest.LogCaptureFixture,
) -> None:
    read_mesh_design(make(tmp_path / f"mine{suffix}"))
    assert told in said.text


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.fbx",
            b"Kaydara FBX Binary",
            r"'\.fbx' is unknown; .*Blender exports any model as \.glb",
        ),
        ("a.usdz", b"PK", r"'\.usdz' is unknown; .*exports"),
        ("a.glb", b"", "is empty: copy it anew"),
        ("a.glb", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer: git lfs"),
        ("a.obj", b"<!DOCTYPE html>", "is a web page: download the file itself"),
        (
            "a.glb",
            b'{"asset": {}}',
            r"does not begin as a binary glTF; of text the suffix is \.gltf",
        ),
        (
            "a.gltf",
            b'{"buffers": [{"uri": "my%20car.bin"}]}',
            "in 'my%20car.bin', which is not besi",
        ),
        ("a.gltf", b'{"buffers": 3}', "cannot be read as a mesh"),
    ],
)
def test_files_that_are_no_meshes_say_what_to_do(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=told) as caught:
        read_mesh_design(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "extents", "centre"),
    [
        ("bonnet", (1.7, 0.01, 1.2), (0, 0.7, 1.0)),  # flat but small
        ("spoiler", (1.9, 0.02, 0.4), (0, 0.8, -2.0)),
        ("trailer", (2.4, 2.0, 6.0), (0, 0, -3.0)),  # large but not flat
    ],
)
def test_parts_of_the_car_are_kept(name: str, extents, centre, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.glb", {"body": box(CAR), name: box(extents, centre, "trim")})
    assert len(load_car(read_mesh_design(path)).parts) == 2


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (trimesh.transformations.translation_matrix((0, 0, 3)), (4.2 + 0.9, 1.8, 1.4)),
        (trimesh.transformations.scale_matrix(2.0), (4.2, 1.8, 1.4)),
        (np.diag([-1.0, 1, 1, 1]), (4.2, 1.8, 1.4)),
        # A quarter turn about z = 2 brings it to x = -2, 2.2 with its half side.
        (
            trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0), (0, 0, 2)),
            (2.1 + 2.2, 0.9 + 2.2, 1.4),
        ),
    ],
)
def test_nodes_with_transforms_lie_where_they_say(transform, expected, tmp_path: Path) -> None:
    parts = {"body": box(CAR), "nose": box((0.4, 0.4, 0.4), material="chrome")}
    path = write(tmp_path / "mine.glb", parts, {"nose": transform})
    if transform[2, 3] == 3:  # the nose sticks out: from 2.1 to 3.2
        expected = (2.1 + 3.2, 1.8, 1.4)
    np.testing.assert_allclose(sides(path), expected, atol=1e-4)
    for part in load_car(read_mesh_design(path)).parts:  # mirrored ones still look outward
        assert trimesh.Trimesh(part.vertices, part.faces, process=False).volume > 0


@pytest.mark.parametrize("suffix", [".obj", ".stl", ".ply"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_formats_without_an_up_axis_are_stood_on_their_wheels(
    suffix: str, up: str, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    extents = (4.2, 1.2, 1.9) if up == "y" else (4.2, 1.9, 1.2)
    box(extents, material=None).export(tmp_path / f"mine{suffix}")
    np.testing.assert_allclose(sides(tmp_path / f"mine{suffix}"), (4.2, 1.9, 1.2), atol=1e-4)
    assert f"4.20 x 1.90 x 1.20 m (length, width, height), {up} up" in said.text
    assert "no materials: painted all over, glass and tyres too" in said.text


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1000), ("cm", 100), ("inch", 39.37)])
def test_other_units_are_scaled_and_said(
    unit: str, factor: float, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "mine.glb", {"body": box(np.multiply(CAR, factor))})
    np.testing.assert_allclose(sides(path)[0], 4.6, atol=1e-3)
    assert f"scaled by {4.6 / 4.2 / factor:.3g}" in said.text


def test_materials_and_what_they_were_taken_for_are_said(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    parts = {
        "body": box(CAR, material="CarPaint"),
        "w": box((1, 1, 1), material="Window"),
        "x": box((1, 1, 1), material="Felt"),
        "y": box((1, 1, 1), material=None),
    }
    read_mesh_design(write(tmp_path / "mine.glb", parts))
    for words in ("paint: CarPaint", "glass: Window", "Felt", "no tyre found", "preview=true"):
        assert words in said.text


def edited(path: Path, extension: str) -> None:
    """Declare an extension in a .gltf."""
    content = json.loads(path.read_text())
    content["extensionsUsed"] = content["extensionsRequired"] = [extension]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        ("KHR_draco_mesh_compression", "Draco"),
        ("EXT_meshopt_compression", "meshopt"),
        ("KHR_mesh_quantization", "quantization"),
    ],
)
@pytest.mark.parametrize("suffix", [".gltf", ".glb"])
def test_compressed_geometry_is_refused_by_name(
    extension: str, name: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"mine{suffix}"
    header = json.dumps({"asset": {"version": "2.0"}, "extensionsUsed": [extension]}).encode()
    lead = b"glTF" + (2).to_bytes(4, "little") + (20 + len(header)).to_bytes(4, "little")
    chunk = len(header).to_bytes(4, "little") + b"JSON"
    path.write_bytes(header if suffix == ".gltf" else lead + chunk + header)
    with pytest.raises(ValueError, match=rf"compressed \({name}, {extension}\).*switched off"):
        read_mesh_design(path)


@pytest.mark.parametrize("library", ["mine.mtl", "materials/car.mtl", "with space.mtl"])
def test_an_obj_whose_materials_are_not_there_is_refused(library: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.obj"
    trimesh.creation.box((4.0, 1.8, 1.4)).export(path)
    path.write_text(f"mtllib {library}\nusemtl glass\n" + path.read_text())
    with pytest.raises(ValueError, match=rf"'{library}', which is not beside it.*`mtllib"):
        read_mesh_design(path)
    (tmp_path / "materials").mkdir()
    (tmp_path / library).write_text("newmtl carpaint\nKd 1 0 0\n")
    path.write_text(path.read_text().replace("usemtl glass", "usemtl carpaint"))
    assert [part.material for part in load_car(read_mesh_design(path)).parts] == ["paint"]
