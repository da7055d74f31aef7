"""Which sizes of images a network takes, found out by giving it some."""

from collections.abc import Mapping

import torch
from torch import nn

from lossprint.models.embedding import evaluating

# Multiples of patches and windows, and the sizes that published networks were trained at.
CANDIDATES = (32, 48, 64, 80, 96, 112, 128, 160, 192, 196, 224, 227, 240, 256, 288, 299, 320, 384)


def check_image_sizes(network: nn.Module, sizes: Mapping[str, int]) -> None:
    """Raise unless a network turns square images of all sizes into features.

    Args:
        network: images [N, 3, size, size] → [N, F]. It is left as it was.
        sizes: side in pixels by the setting's name, `data.size`.

    Raises:
        ValueError: it cannot; the message names the settings, and sizes that it takes.
    """
    reasons = {size: _refusal(network, size) for size in set(sizes.values())}
    refused = {where: size for where, size in sizes.items() if reasons[size] is not None}
    if refused:
        taken = [other for other in CANDIDATES if _refusal(network, other) is None]
        given = " ".join(f"{where}={size}" for where, size in refused.items())
        size = next(iter(refused.values()))
        message = f"{given}: the network takes no images of {size} px ({reasons[size]}). It takes"
        if not taken:
            raise ValueError(f"{message} none of {CANDIDATES} px")
        nearest = min(taken, key=lambda other: abs(other - size))
        remedy = " ".join(f"{where}={nearest}" for where in refused)
        raise ValueError(f"{message} {', '.join(map(str, taken))} px: {remedy}")


def _refusal(network: nn.Module, size: int) -> str | None:
    """Why a network takes no images of a size; None if it does."""
    try:
        with evaluating(network), torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    # Libraries refuse a size by assertions, by errors of their own and by shapes that do not fit.
    except (AssertionError, RuntimeError, ValueError) as error:
        return " ".join(str(error).split())
    return None
