import csv
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from lossprint.rendering.dataset import render_set
from lossprint.rendering.interventions import block_length, intervene
from lossprint.rendering.properties import complete_levels
from lossprint.rendering.sampling import draw_scenes

from .fake_backend import FakeBackend, write_box_cars

LEVELS = complete_levels({"rotation_z": [0, 90, 180], "color_hue": [0.1, 0.6]})


def drawn(count):
    return draw_scenes(count, seed=3, levels=LEVELS, designs=2, balanced=False)


def test_each_property_moves_to_each_of_its_other_levels_and_nothing_else_does():
    base = drawn(4)
    scenes, interventions = intervene(base, levels=LEVELS, designs=2)
    length = block_length(LEVELS, 2)
    assert len(scenes) == 4 * length
    assert len(interventions) == 4 * (length - 1)
    for each in interventions:
        before, after = scenes[each.base], scenes[each.frame]
        differing = {
            name for name in LEVELS if before.properties[name] != after.properties[name]
        } | ({"model"} if before.design != after.design else set())
        assert differing == {each.property}
        assert after.noise_seed == before.noise_seed
        value = {**before.properties, "model": before.design}[each.property]
        assert each.origin == value != each.target
    moves = Counter((each.base, each.property) for each in interventions)
    others = {"model": 1, **{name: len(values) - 1 for name, values in LEVELS.items()}}
    assert moves == {(b * length, name): n for b in range(4) for name, n in others.items()}


def test_base_scenes_are_the_first_frames_of_the_drawn_set():
    base = drawn(3)
    scenes, _ = intervene(base, levels=LEVELS, designs=2)
    length = block_length(LEVELS, 2)
    for number in range(3):
        shown, expected = scenes[number * length], base[number]
        assert shown.properties == expected.properties
        assert (shown.design, shown.noise_seed) == (expected.design, expected.noise_seed)


def test_more_base_scenes_continue_the_set():
    few, _ = intervene(drawn(2), levels=LEVELS, designs=2)
    many, _ = intervene(drawn(5), levels=LEVELS, designs=2)
    assert [few[frame] for frame in range(len(few))] == [many[frame] for frame in range(len(few))]


def test_one_level_leaves_nothing_to_move_to():
    single = {name: values[:1] for name, values in LEVELS.items()}
    base = draw_scenes(2, seed=0, levels=single, designs=1, balanced=False)
    scenes, interventions = intervene(base, levels=single, designs=1)
    assert interventions == []
    assert np.array_equal(scenes.noise_seed, base.noise_seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("interventions")
    levels = {name: values[:2] for name, values in complete_levels().items()}
    render_set(
        place / "set",
        kind="probe",
        count=2,
        size=16,
        samples=4,
        designs=write_box_cars(place, 2),
        levels=levels,
        interventions=True,
        workers=0,
        progress=False,
        backend=FakeBackend(),
    )
    return place / "set"


def test_the_tables_agree_with_each_other_and_with_the_files(folder):
    with (folder / "samples.csv").open() as file:
        samples = {row["frame"]: row for row in csv.DictReader(file)}
    with (folder / "interventions.csv").open() as file:
        reader = csv.DictReader(file)
        interventions = list(reader)
    assert reader.fieldnames == ["base", "property", "from", "to", "frame"]
    assert len(samples) == 2 * (1 + 1 + 10)
    assert len(interventions) == 2 * (1 + 10)
    for row in interventions:
        assert samples[row["base"]][row["property"]] == row["from"]
        assert samples[row["frame"]][row["property"]] == row["to"]
        assert row["from"] != row["to"]
    for frame in samples:
        assert (folder / "images" / f"{int(frame):06d}.png").is_file()
        assert (folder / "masks" / f"{int(frame):06d}.png").is_file()


def test_rendered_interventions_share_their_base_scenes_noise_and_differ_in_one_thing(tmp_path):
    levels = {name: values[-2:] for name, values in complete_levels().items()}
    render_set(
        tmp_path / "set",
        kind="probe",
        count=1,
        size=24,
        samples=2,
        designs=write_box_cars(tmp_path, 2),
        levels=levels,
        interventions=True,
        workers=0,
        variant="scalar_rgb",
        progress=False,
    )
    with (tmp_path / "set" / "interventions.csv").open() as file:
        moved = {row["property"]: int(row["frame"]) for row in csv.DictReader(file)}

    def read(kind: str, frame: int) -> np.ndarray:
        with Image.open(tmp_path / "set" / kind / f"{frame:06d}.png") as picture:
            return np.asarray(picture).astype(int)

    image, mask = read("images", 0), read("masks", 0)
    for name, frame in moved.items():
        assert (read("images", frame) != image).any(), name
    for name in ("color_hue", "color_sat", "color_val"):
        np.testing.assert_array_equal(read("masks", moved[name]), mask)
        np.testing.assert_array_equal(read("images", moved[name])[:3], image[:3])
    for name in ("sun_elevation", "sun_rotation"):
        np.testing.assert_array_equal(read("masks", moved[name]) == 1, mask == 1)
    for name in ("model", "rotation_z", "camera_loc_z"):
        assert (read("masks", moved[name]) != mask).any(), name
