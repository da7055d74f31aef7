"""Meshes as people export them: what was taken for what is said, what is not read is refused."""

import json
import logging
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
