import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hydra import compose, initialize_config_dir
from PIL import Image

from tests.rendering.fake_backend import write_box_cars

ROOT = Path(__file__).parents[2]
QUICK = ("size=16", "samples=2", "workers=0", "variant=scalar_rgb")


@pytest.fixture(scope="module")
def script():
    """The entry point as a module."""
    description = importlib.util.spec_from_file_location("render_script", ROOT / "render.py")
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


@pytest.fixture
def call(script, capsys):
    """Call the entry point with overrides; gives what it printed."""

    def call(*overrides):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("render", list(overrides))
        script.main(config)
        return capsys.readouterr().out

    return call


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_probe_set_is_rendered_where_the_data_lives(call, tmp_path):
    out = call("count=3", "designs=[sedan]", f"data_root={tmp_path}", *QUICK)
    folder = tmp_path / "rendered" / "probe-16px-seed0"
    assert out.startswith(f"{folder}: 3 frames; 3 rendered now, 2 samples per pixel, scalar_rgb")
    assert [row["model"] for row in rows(folder / "samples.csv")] == ["sedan"] * 3
    assert "0 rendered now" in call("count=3", "designs=[sedan]", f"data_root={tmp_path}", *QUICK)


def test_shards_of_a_world_end_in_its_table(call, tmp_path):
    cars = ",".join(write_box_cars(tmp_path / "cars", 2))
    folder = tmp_path / "set"
    world = ("kind=world", f"designs=[{cars}]", "count=4", f"folder={folder}", *QUICK)
    assert "4 frames, 2 of them still missing; 2 rendered now" in call("shard=1/2", *world)
    assert not (folder / "samples.csv").exists()
    assert "4 frames; 2 rendered now" in call("shard=2/2", *world)
    models = [row["model"] for row in rows(folder / "samples.csv")]
    assert sorted(models) == ["box0", "box0", "box1", "box1"]
    assert json.loads((folder / "set.json").read_text())["kind"] == "world"


def test_a_users_mesh_is_painted_and_rendered(call, tmp_path):
    trimesh.creation.box((4.2, 1.8, 1.4)).export(tmp_path / "mine.stl")
    levels = ("levels.color_hue=[0,0.4]", "levels.color_sat=[0.9]", "levels.color_val=[0.8]")
    call("count=8", f"designs=[{tmp_path}/mine.stl]", f"folder={tmp_path}/set", *levels, *QUICK)
    redness = {"0": [], "0.4": []}
    for row in rows(tmp_path / "set" / "samples.csv"):
        assert row["model"] == "mine"
        name = f"{int(row['frame']):06d}.png"
        with Image.open(tmp_path / "set" / "images" / name) as picture:
            image = np.asarray(picture).astype(int)
        with Image.open(tmp_path / "set" / "masks" / name) as picture:
            car = np.asarray(picture) == 1
        redness[row["color_hue"]].append((image[car][:, 0] - image[car][:, 1]).mean())
    assert min(redness["0"]) > 10 > -10 > max(redness["0.4"])


def test_interventions_are_rendered_with_the_bases_noise(call, tmp_path):
    levels = [f"levels.{name}=[0.5]" for name in ("color_sat", "color_val", "bg_color_sat")]
    levels += ["levels.bg_color_val=[0.5]", "levels.bg_color_hue=[0.5]", "levels.color_hue=[0.1]"]
    levels += ["levels.camera_loc_z=[1.6]", "levels.sun_elevation=[40]"]
    levels += ["levels.rotation_z=[30]", "levels.sun_rotation=[0,60]"]
    out = call(
        "interventions=true", "count=1", "designs=[van]", f"data_root={tmp_path}", *levels, *QUICK
    )
    folder = tmp_path / "rendered" / "probe-interventions-16px-seed0"
    assert f"{folder}: 2 frames" in out
    (row,) = rows(folder / "interventions.csv")
    assert (row["base"], row["property"], row["frame"]) == ("0", "sun_rotation", "1")
    assert {row["from"], row["to"]} == {"0", "60"}


def test_a_preview_is_written_in_place_of_a_set(call, script, tmp_path, monkeypatch):
    monkeypatch.setattr("lossprint.apps.rendering.write_contact_sheet", lambda path, *_, **__: path)
    sheet = tmp_path / "contact_sheet-probe-16px-seed0.png"
    assert call("preview=true", f"folder={tmp_path}", *QUICK) == f"{sheet}\n"
    assert call("preview=true", f"output_root={tmp_path}", *QUICK) == f"{sheet}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+cuont=3", "unknown option 'cuont'; see conf/render.yaml for the options"),
        ("+levels.moon=[0]", "levels: unknown property 'moon'; the properties are rotation_z, "),
        (
            "levels.sun_elevation=[0]",
            "levels: sun_elevation = 0 is outside its valid range (0, 90] degrees",
        ),
        ("shard=5/4", "shard = 5/4 is not valid"),
        ("variant=vulkan", "variant = 'vulkan' is unknown; it is auto or one of cuda_ad_rgb, "),
        ("designs=[nowhere.glb]", "there is no mesh file nowhere.glb"),
        ("count=abc", "count = 'abc' is not valid; it is a whole number at least 1"),
        ("workers=abc", "workers = 'abc' is not valid; it is a whole number at least 0"),
        ("preview=maybe", "preview = 'maybe' is neither true nor false"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, capsys, tmp_path, override, message):
    with pytest.raises(SystemExit) as ending:
        call(f"folder={tmp_path}/set", override)
    assert ending.value.code == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_says_where_things_are_and_exits_130(call, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lossprint.apps.rendering.render_set", interrupt)
    with pytest.raises(SystemExit) as ending:
        call("folder=somewhere", *QUICK)
    assert ending.value.code == 130
    said = "interrupted; what is rendered stays in somewhere, and the same command continues\n"
    assert capsys.readouterr().out == said
