"""How the embeddings of each network lie in their space, and which are collapsed."""

from operator import attrgetter

import pandas as pd

from lossprint.metrics import embedding_geometry
from lossprint.studies.columns import RUN
from lossprint.studies.study import DESIGN, Results, Study, Tables

MEASURES = (
    *("effective_rank", "mean_length", "uniformity", "alignment", "class_separation"),
    "collapsed",
)
"""Attributes of an `EmbeddingGeometry`."""

TABLES: Tables = {"geometry": (*RUN, *MEASURES)}


def compute(study: Study) -> Results:
    """The geometry of each network's embeddings of the probe images."""
    labels, of = study.probe.properties.get(DESIGN), attrgetter(*MEASURES)
    rows = [
        [*network.cells, *of(embedding_geometry(embeddings, labels))]
        for network, embeddings in zip(study.networks, study.embeddings, strict=True)
    ]
    return {"geometry": pd.DataFrame(rows, columns=list(TABLES["geometry"]))}
