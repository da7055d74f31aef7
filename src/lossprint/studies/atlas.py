"""Embeddings in few directions, the losses turned onto each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from lossprint.studies.columns import empty_tables
from lossprint.studies.explorer import IMAGES
from lossprint.studies.loss_geometry import loss_embeddings
from lossprint.studies.study import Results, Study, Tables

METHODS = ("PCA", "t-SNE")
PERPLEXITY = 30.0
FEWEST = 5
"""Images below which there is nothing to draw."""
DIRECTIONS = 32
"""Of an embedding that a tracker's projector gets, at most."""

TABLES: Tables = {
    "atlas": ("loss", "family", "method", "frame", "x", "y"),
    # With columns d1, d2, …: principal directions, of all runs of a loss.
    "embeddings": ("loss", "family", "frame"),
}


def compute(study: Study) -> Results:
    """Place the images that the page carries under each loss."""
    frames = study.probe.properties.index[:IMAGES]
    families = {network.loss: network.family for network in study.networks}
    if len(frames) < FEWEST:
        return empty_tables(TABLES)
    embeddings = {
        loss: embedding[: len(frames)].numpy()
        for loss, embedding in loss_embeddings(study.networks, study.embeddings).items()
    }
    found = [
        pd.DataFrame(
            {
                "loss": loss,
                "family": families[loss],
                "method": method,
                "frame": frames,
                "x": points[:, 0],
                "y": points[:, 1],
            }
        )
        for method in METHODS
        for loss, points in aligned(
            {x: in_the_plane(e, method, study.settings.seed) for x, e in embeddings.items()}
        ).items()
    ]
    directions = min(DIRECTIONS, len(frames), *(e.shape[1] for e in embeddings.values()))
    axes = [f"d{number}" for number in range(1, directions + 1)]
    spread = [
        pd.DataFrame(points.round(4), columns=axes).assign(
            loss=loss, family=families[loss], frame=frames
        )
        for loss, points in aligned(
            {x: PCA(directions, svd_solver="full").fit_transform(e) for x, e in embeddings.items()}
        ).items()
    ]
    return {
        "atlas": pd.concat(found),
        "embeddings": pd.concat(spread)[[*TABLES["embeddings"], *axes]],
    }


def in_the_plane(embedding: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Points [N, 2] for an embedding [N, D] by "PCA" or "t-SNE"."""
    if embedding.shape[1] < 2:
        embedding = np.pad(embedding, ((0, 0), (0, 1)))
    if method == "PCA":
        return PCA(2, svd_solver="full").fit_transform(embedding)
    perplexity = min(PERPLEXITY, (len(embedding) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(embedding)


def aligned(points: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turn, mirror and scale every [N, K] onto the first (orthogonal Procrustes).

    Each is centred and has a mean squared distance of 1 from its centre; one whose points all
    fall together stays at 0.
    """
    found: dict[str, np.ndarray] = {}
    for name, raw in points.items():
        centred = raw - raw.mean(0)
        size = np.sqrt(np.square(centred).sum(1).mean())
        unit = centred / size if size > 0 else centred
        if found:
            rotation, _ = orthogonal_procrustes(unit, next(iter(found.values())))
            unit = unit @ rotation
        found[name] = unit
    return found
