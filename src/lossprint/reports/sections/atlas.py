"""The images in the plane, as each loss arranges them."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Section, Widget
from lossprint.reports.sections.explorer import IMAGE_BYTES, IMAGES, image_properties
from lossprint.reports.sheets import COLUMNS, sheets
from lossprint.reports.style import by_family, loss_colors, readable


def widgets(evidence: Evidence) -> Iterable[Widget]:
    """The atlas, where there are images and their places."""
    atlas, images = evidence["atlas"], evidence["probe_images"]
    if atlas.empty or images.empty or IMAGES not in evidence.arrays:
        return
    families = evidence.families()
    colors = loss_colors(families)
    places = {
        (loss, method): rows.set_index("frame").reindex(images["frame"])[["x", "y"]]
        for (loss, method), rows in atlas.groupby(["loss", "method"], sort=False)
    }
    methods = list(dict.fromkeys(atlas["method"]))
    data = {
        "columns": COLUMNS,
        "frames": [str(frame) for frame in images["frame"]],
        "properties": image_properties(images),
        "methods": methods,
        "losses": [
            {
                "name": loss,
                "title": readable(loss),
                "color": colors[loss],
                "family": families[loss],
                "points": [
                    places[loss, method].astype(float).round(3).to_numpy().tolist()
                    for method in methods
                ],
            }
            for loss in by_family(atlas["loss"], families)
        ],
    }
    yield Widget("atlas", data, sheets({IMAGES: evidence.arrays[IMAGES]}, IMAGE_BYTES))


SECTION = Section(
    "atlas",
    "Atlas of embeddings",
    widgets=widgets,
    methods={
        "Atlas": "PCA and t-SNE (scikit-learn) of the embeddings of all runs of a loss side by "
        "side; turned, mirrored and scaled onto the first loss (orthogonal Procrustes). Distances "
        "in t-SNE say who is near, not how far apart groups are.",
    },
)
