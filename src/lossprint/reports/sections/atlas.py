"""The images in the plane, as each loss arranges them; the explorer opens what is pressed."""

from collections.abc import Iterable

from lossprint.reports.evidence import Evidence
from lossprint.reports.section import Section, Widget
from lossprint.reports.sections.explorer import image_properties, is_shown
from lossprint.reports.sheets import COLUMNS
from lossprint.reports.style import by_family, loss_colors, readable


def widgets(evidence: Evidence) -> Iterable[Widget]:
    """The atlas, where there is an explorer and the images have places."""
    atlas, images = evidence["atlas"], evidence["probe_images"]
    if atlas.empty or not is_shown(evidence):
        return
    families = evidence.families
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
    yield Widget("atlas", data)  # with the pictures of the explorer


SECTION = Section(
    "atlas",
    "Atlas of embeddings",
    widgets=widgets,
    untracked=("atlas", "embeddings"),  # the latter goes to its projector, with pictures
    methods={
        "Atlas": "PCA and t-SNE (scikit-learn) of the embeddings of all runs of a loss side by "
        "side; turned, mirrored and scaled onto the first loss (orthogonal Procrustes). Distances "
        "in t-SNE say who is near, not how far apart groups are.",
    },
)
