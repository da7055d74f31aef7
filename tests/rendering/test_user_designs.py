import numpy as np
import pytest
import trimesh
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from lossprint.rendering.user_designs import load_car, read_mesh_design


def box(extents, centre, material=None, color=(128, 128, 128, 255), kind=PBRMaterial):
    mesh = trimesh.creation.box(extents)
    mesh.apply_translation(centre)
    if material is not None:
        key = "baseColorFactor" if kind is PBRMaterial else "diffuse"
        mesh.visual = TextureVisuals(material=kind(name=material, **{key: list(color)}))
    return mesh


def write(path, *meshes):
    trimesh.Scene({f"part{k}": mesh for k, mesh in enumerate(meshes)}).export(path)
    return path


def load(path):
    return load_car(read_mesh_design(path))


def gltf_car(scale=1.0):
    """In glTF's axes, +y up, nose to +z: a body, a nose at the front, a flag at the left."""
    unit = scale / 10
    return [
        box((18 * unit, 12 * unit, 40 * unit), (0, 6 * unit, 0), "Car_PAINT.001"),
        box((6 * unit, 4 * unit, 2 * unit), (0, 3 * unit, 21 * unit), "Chrome grille"),
        box((2 * unit, 2 * unit, 2 * unit), (10 * unit, 8 * unit, 0), "odd", (255, 128, 0, 255)),
    ]


def extents(car, material):
    vertices = next(part.vertices for part in car.parts if part.material == material)
    return vertices.min(axis=0), vertices.max(axis=0)


def test_a_gltf_car_stands_on_the_ground_with_its_nose_towards_x(tmp_path):
    car = load(write(tmp_path / "mine.glb", *gltf_car()))
    assert car.name == "mine"
    vertices = np.concatenate([part.vertices for part in car.parts])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    np.testing.assert_allclose(low, [-2.1, -1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(high, [2.1, 1.0, 1.2], atol=1e-5)
    assert extents(car, "chrome")[0][0] > 1.8  # the nose looks to +x
    orange = next(part.material for part in car.parts if part.material.startswith("rgb:"))
    assert extents(car, orange)[0][1] > 0.7  # +x of glTF is the left side, +y here


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_a_model_in_other_units_is_scaled_to_a_cars_length(tmp_path, scale):
    car = load(write(tmp_path / "mine.glb", *gltf_car(scale)))
    vertices = np.concatenate([part.vertices for part in car.parts])
    np.testing.assert_allclose(
        np.ptp(vertices, axis=0), 4.6 / 4.2 * np.array([4.2, 2.0, 1.2]), 1e-4
    )


def test_a_car_modelled_along_the_other_axis_is_turned(tmp_path):
    lying = [mesh.apply_transform(np.diag([1.0, 1, 1, 1])[[2, 1, 0, 3]]) for mesh in gltf_car()]
    car = load(write(tmp_path / "mine.glb", *lying))
    vertices = np.concatenate([part.vertices for part in car.parts])
    np.testing.assert_allclose(np.ptp(vertices, axis=0), [4.2, 2.0, 1.2], atol=1e-5)
    assert extents(car, "chrome")[0][0] > 1.8


def test_faces_look_outward_and_normals_agree(tmp_path):
    for part in load(write(tmp_path / "mine.glb", *gltf_car())).parts:
        mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
        assert mesh.volume > 0
        assert ((part.normals * (part.vertices - mesh.centroid)).sum(axis=1) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(part.normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "material"),
    [
        ("CarPaint", "paint"),
        ("Window_Glass", "glass"),
        ("front tire", "tyre"),
        ("TYRE", "tyre"),
        ("chrome.002", "chrome"),
        ("tail_light", "tail"),
        ("HeadLamp", "lamp"),
        ("wheel rims", "rim"),
        ("Alloy", "rim"),
        ("brake disc", "disc"),
        ("black plastic", "plastic"),
        ("number plate", "plate"),
    ],
)
def test_materials_are_known_by_their_names(tmp_path, name, material):
    paint = box((4, 1.8, 1.4), (0, 0, 0), "paint")
    car = load(write(tmp_path / "mine.glb", paint, box((1, 1, 1), (0, 0, 0), name)))
    assert material in {part.material for part in car.parts}


def test_another_material_keeps_its_base_colour_in_linear_light(tmp_path):
    car = load(write(tmp_path / "mine.glb", *gltf_car()))
    name = next(part.material for part in car.parts if part.material.startswith("rgb:"))
    red, green, blue = (float(channel) for channel in name.removeprefix("rgb:").split(","))
    assert (red, blue) == (1, 0)
    assert green == pytest.approx(((128 / 255 + 0.055) / 1.055) ** 2.4, abs=1e-3)


def test_an_obj_file_and_its_materials_are_read(tmp_path):
    car = load(
        write(
            tmp_path / "mine.obj",
            box((1.8, 1.4, 4.0), (0, 0.7, 0), "paint", kind=SimpleMaterial),
            box((0.5, 0.5, 0.5), (0, 0.5, 2), "rubber", (20, 20, 20, 255), kind=SimpleMaterial),
        )
    )
    assert {part.material for part in car.parts} == {"paint", "tyre"}
    assert extents(car, "tyre")[1][0] == pytest.approx(2.125, abs=1e-4)


def test_a_file_without_materials_is_painted_all_over(tmp_path):
    trimesh.creation.box((4.0, 1.8, 1.4)).export(tmp_path / "mine.stl")
    assert [part.material for part in load(tmp_path / "mine.stl").parts] == ["paint"]


def test_the_same_file_is_the_same_design_wherever_it_lies(tmp_path):
    first = write(tmp_path / "mine.glb", *gltf_car())
    (tmp_path / "elsewhere").mkdir()
    second = tmp_path / "elsewhere" / "mine.glb"
    second.write_bytes(first.read_bytes())
    assert read_mesh_design(first).sha256 == read_mesh_design(second).sha256


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl", ".off", ".gltf"])
@pytest.mark.parametrize("content", [b"", b"no mesh at all", b"glTF\x02\x00\x00\x00"])
def test_a_file_that_holds_no_mesh_is_named(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"broken.*(cannot be read as a mesh|has no faces|is empty)"
    ):
        read_mesh_design(path)


def test_points_without_faces_are_no_car(tmp_path):
    trimesh.PointCloud(np.random.default_rng(0).random((20, 3))).export(tmp_path / "points.ply")
    with pytest.raises(ValueError, match=r"points\.ply: has no faces"):
        read_mesh_design(tmp_path / "points.ply")


def test_a_flat_mesh_is_no_car(tmp_path):
    sheet = trimesh.Trimesh([[0, 0, 0], [4, 0, 0], [0, 2, 0]], [[0, 1, 2]])
    sheet.export(tmp_path / "flat.ply")
    with pytest.raises(ValueError, match=r"flat\.ply: is flat, 4 x 2 x 0"):
        read_mesh_design(tmp_path / "flat.ply")


def test_coordinates_that_are_not_finite_are_refused(tmp_path):
    (tmp_path / "bad.obj").write_text("v 0 0 0\nv 1 nan 0\nv 0 1 1\nf 1 2 3\n")
    with pytest.raises(ValueError, match=r"bad\.obj: has coordinates that are not finite"):
        read_mesh_design(tmp_path / "bad.obj")


def test_materials_without_paint_are_listed(tmp_path):
    path = write(tmp_path / "grey.glb", box((4, 1.8, 1.4), (0, 0, 0), "Body"))
    with pytest.raises(ValueError, match=r"none of its materials has 'paint'.*they are Body"):
        read_mesh_design(path)


def test_an_unknown_format_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "car.blend").write_bytes(b"BLENDER")
    with pytest.raises(ValueError, match=r"car\.blend: format '\.blend' is unknown"):
        read_mesh_design(tmp_path / "car.blend")
    with pytest.raises(FileNotFoundError, match=r"no mesh file .*car\.glb"):
        read_mesh_design(tmp_path / "car.glb")
