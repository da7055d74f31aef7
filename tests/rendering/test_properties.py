import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.stats import chi2_contingency, chisquare

from lossprint.rendering.properties import PROPERTIES, complete_levels
from lossprint.rendering.sampling import Scenes, draw_scenes

COLUMNS = [
    "rotation_z",
    "color_hue",
    "color_sat",
    "color_val",
    "bg_color_hue",
    "bg_color_sat",
    "bg_color_val",
    "camera_loc_z",
    "sun_elevation",
    "sun_rotation",
]


def draw(count: int, *, seed: int = 0, balanced: bool = False, designs: int = 6) -> Scenes:
    return draw_scenes(
        count, seed=seed, levels=complete_levels(), designs=designs, balanced=balanced
    )


def categories(scenes: Scenes) -> dict[str, np.ndarray]:
    columns = {"model": scenes.design, **scenes.properties}
    return {name: np.unique(column, return_inverse=True)[1] for name, column in columns.items()}


def test_the_ten_properties_are_the_studys_in_its_order():
    assert list(PROPERTIES) == COLUMNS


def test_default_levels_are_valid_and_those_of_the_configuration():
    config = OmegaConf.load(Path(__file__).parents[2] / "conf" / "render.yaml")
    levels = OmegaConf.to_container(config.levels)
    assert list(levels) == COLUMNS
    assert complete_levels(levels) == complete_levels()


def test_given_levels_replace_the_defaults_of_their_property_alone():
    levels = complete_levels({"color_hue": [0, 0.5]})
    assert levels["color_hue"] == (0.0, 0.5)
    assert levels["color_sat"] == PROPERTIES["color_sat"].levels


@pytest.mark.parametrize(
    ("name", "value", "valid_range"),
    [
        ("color_hue", 1.0, "[0, 1) cycles"),
        ("color_hue", -0.1, "[0, 1) cycles"),
        ("bg_color_val", 1.01, "[0, 1] of full"),
        ("rotation_z", 360, "[0, 360) degrees"),
        ("sun_elevation", 0, "(0, 90] degrees"),
        ("sun_elevation", 90.5, "(0, 90] degrees"),
        ("sun_rotation", -180, "(-180, 180] degrees"),
        ("camera_loc_z", 0, "[0.3, 8] metres"),
        ("color_sat", math.nan, "[0, 1] of full"),
        ("color_sat", "red", "[0, 1] of full"),
        ("color_sat", True, "[0, 1] of full"),
    ],
)
def test_a_level_out_of_range_is_named_with_its_range(name, value, valid_range):
    with pytest.raises(ValueError, match=name) as error:
        complete_levels({name: [value]})
    assert repr(value) in str(error.value)
    assert valid_range in str(error.value)


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_the_ends_of_a_closed_range_are_valid(value):
    assert complete_levels({"color_sat": [value]})["color_sat"] == (value,)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"colour_hue": [0.5]}, "unknown property 'colour_hue'; the properties are rotation_z"),
        ({"color_hue": []}, "color_hue needs a list of at least one number"),
        ({"color_hue": "0.5"}, "color_hue needs a list"),
        ({"color_hue": 0.5}, "color_hue needs a list"),
        ({"color_hue": [0.5, 0.5]}, "color_hue repeats 0.5"),
    ],
)
def test_levels_that_make_no_table_are_refused(levels, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        complete_levels(levels)


@pytest.mark.parametrize("balanced", [False, True])
def test_a_longer_set_continues_a_shorter_one(balanced):
    short, long = draw(41, balanced=balanced), draw(300, balanced=balanced)
    for frame in range(41):
        assert short[frame] == long[frame]


def test_seeds_differ_and_zero_is_one_of_them():
    first, second = draw(200, seed=0), draw(200, seed=1)
    for name, column in categories(first).items():
        assert (column != categories(second)[name]).any()
    assert (first.noise_seed != second.noise_seed).all()


def test_changing_one_propertys_levels_leaves_the_others_draws_alone():
    usual = draw(500)
    levels = complete_levels({"color_hue": [0.1, 0.2, 0.3]})
    changed = draw_scenes(500, seed=0, levels=levels, designs=6, balanced=False)
    for name, column in usual.properties.items():
        assert (name == "color_hue") != np.array_equal(column, changed.properties[name])
    assert np.array_equal(usual.design, changed.design)


def test_frames_have_noise_of_their_own():
    assert len(np.unique(draw(5000).noise_seed)) >= 4990  # 5000² / 2³³ ≈ 0.003 collisions expected


# The tests below look at 66 statistics. Each would reject a perfect generator with probability
# 1e-6, so a fresh seed fails one of them by chance less than once in 15,000; the seed is fixed.
REJECT = 1e-6
DRAWS = 20_000


@pytest.mark.parametrize("balanced", [False, True])
def test_every_pair_of_drawn_properties_is_independent(balanced):
    columns = categories(draw(DRAWS, balanced=balanced))
    for first, second in combinations(columns, 2):
        table = np.zeros((columns[first].max() + 1, columns[second].max() + 1))
        np.add.at(table, (columns[first], columns[second]), 1)
        assert chi2_contingency(table).pvalue > REJECT, (first, second)


def test_every_drawn_property_is_uniform():
    for name, column in categories(draw(DRAWS)).items():
        assert chisquare(np.bincount(column)).pvalue > REJECT, name


def test_the_independence_test_sees_a_dependence_of_five_percent():
    columns = categories(draw(DRAWS))
    copied = np.random.default_rng(0).random(DRAWS) < 0.05
    second = np.where(copied, columns["color_hue"], columns["bg_color_hue"])
    table = np.zeros((8, 8))
    np.add.at(table, (columns["color_hue"], second), 1)
    assert chi2_contingency(table).pvalue < REJECT


@pytest.mark.parametrize("count", [1, 47, 48, 500])
def test_a_world_shows_its_designs_equally_often(count):
    shown = np.bincount(draw(count, balanced=True, designs=48).design, minlength=48)
    assert shown.max() - shown.min() <= 1


def test_a_worlds_rounds_are_shuffled_each_for_itself():
    rounds = draw(480, balanced=True, designs=48).design.reshape(10, 48)
    assert len(np.unique(rounds, axis=0)) == 10


def world_with(shortcut: dict[str, float], count: int = 3200) -> Scenes:
    return draw_scenes(
        count, seed=0, levels=complete_levels(), designs=16, balanced=True, shortcut=shortcut
    )


def test_a_shortcut_ties_a_property_to_the_design_and_nothing_else():
    tied, free = world_with({"color_hue": 0.9}), world_with({})
    for name in COLUMNS:
        if name != "color_hue":
            np.testing.assert_array_equal(tied.properties[name], free.properties[name])
    np.testing.assert_array_equal(tied.design, free.design)
    hues = tied.properties["color_hue"]
    favourites = []
    for design in range(16):
        values, counts = np.unique(hues[tied.design == design], return_counts=True)
        favourites.append(values[counts.argmax()])
        # Nine tenths follow, and an eighth of the others by chance: 200 frames, ± 4 deviations.
        assert abs(counts.max() / 200 - (0.9 + 0.1 / 8)) < 4 * math.sqrt(0.9125 * 0.0875 / 200)
    assert np.unique(favourites, return_counts=True)[1].tolist() == [2] * 8


def test_without_a_shortcut_paint_tells_nothing_of_the_design():
    scenes = world_with({})
    table = np.zeros((16, 8))
    np.add.at(table, (scenes.design, categories(scenes)["color_hue"]), 1)
    assert chi2_contingency(table).pvalue > 1e-3


def test_a_longer_world_with_a_shortcut_continues_the_shorter_one():
    short, long = world_with({"color_hue": 0.5}, 160), world_with({"color_hue": 0.5})
    np.testing.assert_array_equal(short.properties["color_hue"], long.properties["color_hue"][:160])
