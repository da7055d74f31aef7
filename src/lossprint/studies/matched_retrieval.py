"""The leading questions once more, of networks that retrieve equally well."""

import pandas as pd

from lossprint.studies import contrasts, embedding_geometry, embedding_similarity, map_agreement
from lossprint.studies.columns import RUN, empty_tables, together
from lossprint.studies.study import Results, Study, Tables

TABLES: Tables = {
    "matched_contrasts": contrasts.COLUMNS,
    # `value`: validation MAP@R at the epoch at which a run is compared, `best` at its best one.
    "matched_epochs": (*RUN, "epoch", "value", "best"),
}


def compute(study: Study) -> Results:
    """The contrasts of the study's matched networks; nothing where there are none."""
    if not study.matched:
        return empty_tables(TABLES)
    rows = [
        [*matched.network.cells, matched.level.epoch, matched.level.value, matched.best]
        for matched in study.matched
    ]
    pieces = (map_agreement, embedding_similarity, embedding_geometry, contrasts)
    matched = Study(
        [matched.network for matched in study.matched],
        study.probe,
        study.settings,
        pieces,
        on_progress=lambda text: study.on_progress(f"{text}, at equal retrieval"),
    )
    found = matched.table("contrasts")
    gaps = together(matched.skipped)
    return {
        "matched_contrasts": found,
        "matched_epochs": pd.DataFrame(rows, columns=list(TABLES["matched_epochs"])),
        "skipped": gaps.assign(part=gaps["part"] + " at equal retrieval"),
    }
