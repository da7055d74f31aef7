"""Which sizes of images a network takes, found out by giving it some."""

import torch
from torch import nn

# Multiples of patches and windows, and the sizes that published networks were trained at.
CANDIDATES = (32, 48, 64, 80, 96, 112, 128, 160, 192, 196, 224, 227, 240, 256, 288, 299, 320, 384)


def check_image_size(network: nn.Module, size: int, *, where: str) -> None:
    """Raise unless a network turns square images of a size into features.

    Args:
        network: images [N, 3, size, size] → [N, F]. It is left as it was.
        size: side in pixels.
        where: the setting's name, for the message.

    Raises:
        ValueError: it cannot; the message names sizes that it takes.
    """
    reason = _refusal(network, size)
    if reason is not None:
        taken = [str(other) for other in CANDIDATES if _refusal(network, other) is None]
        raise ValueError(
            f"{where}={size}: the network takes no images of {size} px ({reason}). It takes "
            f"{', '.join(taken) or f'none of {CANDIDATES}'} px"
        )


def _refusal(network: nn.Module, size: int) -> str | None:
    """Why a network takes no images of a size; None if it does."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    # Libraries refuse a size by assertions, by errors of their own and by shapes that do not fit.
    except (AssertionError, RuntimeError, ValueError) as error:
        return " ".join(str(error).split())
    finally:
        for module, mode in modes:
            module.training = mode
    return None
