"""Likeness of runs drawn as signal plus training noise, with known likeness of the signals."""

import numpy as np


def drawn_likeness(rng, rho, replicates, *, reliability=0.69, width=400):
    """(likeness [R, R], loss [R], replicate [R]) of `replicates` runs of each of L losses.

    Args:
        rho: [L, L] expected likeness of the signals of the losses.
        reliability: share of signal in a run's variance; a number, or [L].
    """
    losses = len(rho)
    values, vectors = np.linalg.eigh(rho)
    signals = (vectors * np.sqrt(np.clip(values, 0, None))) @ rng.normal(size=(losses, width))
    share = np.broadcast_to(reliability, (losses,))[:, None, None]
    noise = rng.normal(size=(losses, replicates, width))
    runs = np.sqrt(share) * signals[:, None] + np.sqrt(1 - share) * noise
    likeness = np.corrcoef(runs.reshape(-1, width))
    return likeness, np.repeat(np.arange(losses), replicates), np.tile(range(replicates), losses)


def alike(losses, rho=1.0):
    """[L, L] with `rho` off the diagonal."""
    return np.where(np.eye(losses, dtype=bool), 1.0, rho)


def odd_one(losses, rho):
    """[L, L] in which all losses but the first are one."""
    matrix = np.ones((losses, losses))
    matrix[0, 1:] = matrix[1:, 0] = rho
    return matrix
