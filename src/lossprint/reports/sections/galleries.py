"""The same images under every loss."""

from collections.abc import Iterable

from lossprint.reports import figures
from lossprint.reports.evidence import Evidence
from lossprint.reports.figures.galleries import Gallery
from lossprint.reports.section import Drawing, Section

IMAGES, MAPS = "galleries/images", "galleries/maps/"


def drawings(evidence: Evidence) -> Iterable[Drawing]:
    """One drawing per gallery."""
    table = evidence["galleries"]
    if table.empty:
        return
    table = table.reset_index(drop=True)
    for position, (title, rows) in enumerate(table.groupby("gallery", sort=False), start=1):
        gallery = Gallery(
            title=str(title),
            frames=tuple(map(str, rows["frame"])),
            images=evidence.arrays[IMAGES][rows.index],
            maps={
                name.removeprefix(MAPS): maps[rows.index]
                for name, maps in evidence.arrays.items()
                if name.startswith(MAPS)
            },
            captions=tuple(rows["caption"]),
        )
        yield Drawing(
            f"gallery_{position}",
            f"{title}: images in columns, losses in rows; bright is salient.",
            figures.gallery_figure(gallery, evidence.families),
            wide=True,
            photographs=True,
        )


SECTION = Section("galleries", "The same images under every loss", drawings=drawings)
