"""How the embeddings of each network lie in their space, and which are collapsed."""

import pandas as pd

from lossprint.metrics import embedding_geometry
from lossprint.studies.columns import RUN
from lossprint.studies.study import DESIGN, Results, Study, Tables

TABLES: Tables = {
    "geometry": (
        *RUN,
        *("effective_rank", "mean_length", "uniformity", "alignment", "class_separation"),
        "collapsed",
    )
}


def compute(study: Study) -> Results:
    """The `EmbeddingGeometry` of each network on the probe images."""
    labels = study.probe.properties.get(DESIGN)
    rows = []
    for network, embeddings in zip(study.networks, study.embeddings, strict=True):
        found = embedding_geometry(embeddings, labels)
        rows.append(
            [
                *network.cells,
                found.effective_rank,
                found.mean_length,
                found.uniformity,
                found.alignment,
                found.class_separation,
                found.collapsed,
            ]
        )
    return {"geometry": pd.DataFrame(rows, columns=list(TABLES["geometry"]))}
