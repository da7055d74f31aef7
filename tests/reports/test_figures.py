import io
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform
from skimage.color import rgb2lab

from lossprint.reports import figures
from lossprint.reports.figures.galleries import Gallery, overlay
from lossprint.reports.pair_drawings import pair_drawings
from lossprint.reports.style import FAMILY_MARKERS, loss_colors, readable
from lossprint.reports.tables import loss_matrix
from tests.reports.planted import FAMILIES, PROPERTIES, evidence, stages


def labels(figure: Figure, axes: int = 0) -> list[str]:
    return [label.get_text().rstrip(" ●■✖") for label in figure.axes[axes].get_yticklabels()]


@pytest.mark.parametrize("missing", ["row", "value"])
def test_losses_are_clustered_only_where_every_two_of_them_were_compared(missing):
    pairs = evidence()["agreement_by_loss"].copy()
    gap = (pairs["loss_a"] == "triplet") & (pairs["loss_b"] == "arcface")
    assert gap.sum() == 1
    draw = partial(
        pair_drawings, measure="correlation", noun="map", called="r", colors=loss_colors(FAMILIES)
    )
    pairs.loc[gap, "correlation"] = np.nan
    pairs = pairs if missing == "value" else pairs[~gap]
    assert [drawing.name for drawing in draw(pairs)] == ["map_correlation_by_family"]


def test_mds_keeps_distances_of_points_in_a_plane():
    points = np.random.default_rng(0).normal(size=(7, 2))
    found, carried = figures.classical_mds(squareform(pdist(points)))
    np.testing.assert_allclose(pdist(found), pdist(points), atol=1e-9)
    assert carried == pytest.approx(1.0)


def test_mds_of_a_line_lies_on_its_first_axis():
    found, _ = figures.classical_mds(np.abs(np.subtract.outer([0.0, 1.0, 3.0], [0.0, 1.0, 3.0])))
    np.testing.assert_allclose(found[:, 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(found[:, 0] - found[0, 0], [0, 1, 3], atol=1e-9)


def test_mds_refuses_what_is_no_distance_matrix():
    with pytest.raises(ValueError, match=r"\[L, L\], got \[2, 3\]"):
        figures.classical_mds(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="finite"):
        figures.classical_mds(np.full((2, 2), np.nan))


def test_names_on_a_map_of_losses_do_not_overlap():
    rng = np.random.default_rng(0)
    points = np.vstack([rng.normal(0, 0.01, (12, 3)), rng.normal(0, 0.2, (4, 3))])
    distances = squareform(pdist(points))
    names = [f"{'long ' * (i % 4)}name {i}" for i in range(16)]
    rows = [
        {
            "loss_a": names[i], "family_a": "ranking",
            "loss_b": names[j], "family_b": "ranking",
            "correlation": 1 - distances[i, j],
        }
        for i in range(16) for j in range(i, 16)
    ]  # fmt: skip
    figure = figures.loss_map(
        pd.DataFrame(rows),
        "correlation",
        title="map",
        colors=loss_colors(dict.fromkeys(names, "ranking")),
    )
    figure.draw_without_rendering()
    boxes = [
        Text.get_window_extent(text)  # without the line to its point
        for text in figure.axes[0].texts
        if isinstance(text, Annotation) and text.get_text()
    ]
    assert len(boxes) == 16
    for one, other in combinations(boxes, 2):
        apart = max(one.x0 - other.x1, other.x0 - one.x1, one.y0 - other.y1, other.y0 - one.y1)
        assert apart >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_heatmap_by_family_groups_losses(evidence):
    figure = figures.pairs_by_family(evidence["agreement_by_loss"], "correlation", title="r")
    assert labels(figure) == [
        *("contrastive", "triplet", "arcface", "normalized softmax", "untrained")
    ]
    matrix, _ = loss_matrix(evidence["agreement_by_loss"], "correlation")
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == [f"{v:.2f}" if np.isfinite(v) else "–" for v in matrix.to_numpy().ravel()]


def test_clustered_heatmap_follows_scipy(evidence):
    figure = figures.clustered_pairs(evidence["agreement_by_loss"], "correlation", title="r")
    matrix, _ = loss_matrix(evidence["agreement_by_loss"], "correlation")
    distance = 1 - matrix.to_numpy()
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance), "average"))
    assert labels(figure, axes=1) == [readable(matrix.index[i]) for i in order]


@pytest.mark.parametrize("draw", [figures.clustered_pairs, partial(figures.loss_map, colors={})])
def test_two_losses_make_neither_clusters_nor_a_map(evidence, draw):
    two = evidence["agreement_by_loss"].query("loss_a == 'triplet' and loss_b == 'arcface'")
    with pytest.raises(ValueError, match="at least 3 losses, got 2"):
        draw(two, "correlation", title="r")


def test_properties_mark_what_the_study_would(evidence):
    figure = figures.property_heatmap(
        evidence["properties_by_loss"], title="properties", significant=2.576
    )
    means = evidence["properties_by_loss"].set_index(["loss", "property"])["mean"]
    losses = ["contrastive", "triplet", "arcface", "normalized_softmax", "untrained"]
    shown = [text.get_text() for text in figure.axes[0].texts]
    expected = [
        f"{means[loss, name]:.1f}" + ("*" if means[loss, name] >= 2.576 else "")
        for loss in losses
        for name in PROPERTIES
    ]
    assert shown == expected
    assert 0 < sum(text.endswith("*") for text in shown) < len(shown)


def test_every_pair_is_drawn_once(evidence):
    figure = figures.pair_distributions(evidence["agreement"], "correlation", title="pairs")
    drawn = np.concatenate([c.get_offsets()[:, 0] for c in figure.axes[0].collections])
    np.testing.assert_allclose(np.sort(drawn), np.sort(evidence["agreement"]["correlation"]))


def test_curves_average_runs_in_a_panel_for_each_metric(evidence):
    figure = figures.training_curves(evidence["curves"], colors=loss_colors(evidence.families))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}
    assert set(panels) == set(evidence["curves"]["metric"])
    lines = {line.get_label(): line for line in panels["val/map_at_r"].lines}
    expected = evidence["curves"].query("loss == 'arcface' and metric == 'val/map_at_r'")
    np.testing.assert_allclose(
        lines["arcface"].get_ydata(), expected.groupby("epoch")["value"].mean()
    )


def test_gallery_shows_images_then_a_row_for_each_loss():
    images = np.full((2, 8, 8, 3), 100, dtype=np.uint8)
    maps = {"triplet": np.zeros((2, 8, 8)), "arcface": np.ones((2, 8, 8))}
    figure = figures.gallery_figure(
        Gallery("first", ("a", "b"), images, maps),
        {"triplet": "ranking", "arcface": "classification"},
    )
    (picture,) = figure.axes[0].images
    mosaic = np.asarray(picture.get_array())
    assert mosaic.shape == (3 * 9 - 1, 2 * 9 - 1, 3)
    np.testing.assert_array_equal(mosaic[:8, :8], images[0])
    np.testing.assert_array_equal(mosaic[9:17, 9:17], overlay(images[1], maps["triplet"][1]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        *("image", "triplet", "arcface")
    ]


def test_salient_pixels_are_brighter_whatever_the_image():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    dark, bright = overlay(image, np.zeros((4, 4))), overlay(image, np.ones((4, 4)))
    assert (bright.astype(int) >= dark).all()
    assert overlay(image, np.zeros((4, 4))).dtype == np.uint8


def test_colours_are_one_per_loss_and_differ_between_families():
    custom = {f"mine{i}": ("ranking", "classification")[i % 2] for i in range(20)}
    published = {"arcface": "classification", "triplet": "ranking", "untrained": "control"}
    colors = loss_colors(custom | published)
    lab = [rgb2lab(np.array(to_rgb(color)).reshape(1, 1, 3)).ravel() for color in colors.values()]
    assert pdist(lab).min() > 8  # 2.3 is just noticeable
    # A loss of the study is shown in the same colour whatever is beside it.
    alone = loss_colors(published)
    assert {loss: colors[loss] for loss in published} == alone
    assert colors == loss_colors(dict(reversed(list((custom | published).items()))))
    for loss, family in custom.items():
        red, _, blue = to_rgb(colors[loss])
        assert (red > blue) == (family == "classification")
    assert len(set(FAMILY_MARKERS.values())) == len(FAMILY_MARKERS)


def test_png_and_svg_are_written_and_the_same_figure_is_the_same_file(evidence, tmp_path):
    saved = []
    for name in ("one", "two"):
        figure = figures.pair_distributions(evidence["agreement"], "correlation", title="pairs")
        saved.append(figures.save_figure(figure, tmp_path / name))
    (png, svg), (other_png, other_svg) = saved
    with Image.open(png) as picture:
        assert picture.width > 600
    assert svg.read_text().lstrip().startswith("<?xml")
    assert png.read_bytes() == other_png.read_bytes()
    assert svg.read_bytes() == other_svg.read_bytes()


def test_a_page_carries_drawings_as_they_are_and_photographs_small(tmp_path):
    coarse = np.random.default_rng(0).uniform(0, 255, (12, 16, 3)).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "picture.png")
    drawing = figures.web_picture(tmp_path / "picture.png", photographs=False)
    photograph = figures.web_picture(tmp_path / "picture.png", photographs=True)
    np.testing.assert_array_equal(Image.open(io.BytesIO(drawing)).convert("RGB"), smooth)
    shown = np.asarray(Image.open(io.BytesIO(photograph)).convert("RGB"), float)
    assert np.abs(shown - np.asarray(smooth)).mean() < 3
    assert len(photograph) < len(drawing) / 4


def test_stage_curves_are_the_values_of_the_table():
    table = stages(embedding=0.7)
    figure = figures.stage_curves(table)
    upper, lower = figure.axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in upper.get_lines()}
    assert drawn == {
        "two trainings of one loss": [0.9] * 3,
        "two losses": [0.8] * 3,
        "trained and untrained": [0.5] * 3,
    }
    assert lower.get_lines()[1].get_ydata().tolist() == [1, 1, 0.7]
    # Without a second training nothing is corrected for its noise.
    single = table.assign(within=np.nan, rho=np.nan)
    (only,) = figures.stage_curves(single).axes
    assert len(only.get_lines()) == 2


def test_faithfulness_curves_stand_beside_the_random_order_in_its_direction():
    curves = evidence()["faithfulness_curves"]
    figure = figures.faithfulness_curves(curves, colors=loss_colors(FAMILIES))
    for axes, at_half, chance in zip(
        figure.axes, (0.5**0.5, 0.25), ([0, 0.5, 1], [1, 0.5, 0]), strict=True
    ):
        random, *losses = axes.get_lines()
        drawn = dict(zip(random.get_xdata(), random.get_ydata(), strict=True))
        assert [drawn[share] for share in (0.0, 0.5, 1.0)] == chance
        assert [line.get_ydata()[1] for line in losses] == pytest.approx([at_half] * 5)


def test_each_loss_and_property_is_a_point_and_controls_are_hollow():
    points = pd.DataFrame(
        [
            ["triplet", "ranking", "color_hue", "car", 0.5, 0.3],
            ["arcface", "classification", "color_hue", "car", 0.4, 0.2],
            ["untrained", "control", "color_hue", "car", 0.3, 0.1],
            ["triplet", "ranking", "sun_rotation", "shadow", 0.1, 0.05],
        ],
        columns=["loss", "family", "property", "region", "share", "displacement"],
    )
    drawn = figures.region_effects(points).axes[0].collections
    filled = [c.get_offsets().tolist() for c in drawn if len(c.get_facecolor())]
    hollow = [c.get_offsets().tolist() for c in drawn if not len(c.get_facecolor())]
    assert filled == [[[0.5, 0.3], [0.4, 0.2]], [[0.1, 0.05]]]
    assert hollow == [[[0.3, 0.1]], []]


def test_names_are_written_out():
    assert readable("bg_color_hue") == "background hue"
    assert readable("camera_loc_z") == "camera z"
    assert readable("recall_at_8") == "R@8"
