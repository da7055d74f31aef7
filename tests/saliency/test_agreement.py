"""Agreement of maps against the study's numbers and against scipy."""

from pathlib import Path

import numpy as np
import torch

from lossprint.saliency import map_agreement

GOLDEN = np.load(Path(__file__).parent / "golden" / "map_similarity.npz", allow_pickle=False)


def test_agrees_with_the_published_analysis() -> None:
    agreement = map_agreement(torch.from_numpy(GOLDEN["maps"]))
    np.testing.assert_allclose(agreement.correlation, GOLDEN["correlation"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(
        agreement.divergence, GOLDEN["jensen_shannon_divergence"], atol=1e-6, rtol=0
    )
