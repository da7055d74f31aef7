"""What maps have to be held against before they mean anything."""

import copy

import torch
from torch import nn


def randomized_copy(
    model: nn.Module, *, seed: int, share: float = 1.0, from_input: bool = False
) -> nn.Module:
    """A copy of `model` with its weights shuffled, each tensor within itself.

    Norms, scales and the distribution of every layer's weights stay; what was learned does not. A
    map that looks alike for model and copy explains nothing that the model learned (Adebayo et
    al., "Sanity checks for saliency maps", NeurIPS 2018). Buffers, such as the running statistics
    of batch normalization, stay too. The caller's model and the global generator are untouched.

    Args:
        model: any network whose layers are registered in the order in which an image passes them.
        seed: of the shuffling.
        share: of the layers that hold weights, those nearest to the output; 0 is the last one
            alone. Shares that rise from 0 to 1 randomize in a cascade.
        from_input: those nearest to the input instead, as Hedström et al. ("Sanity checks
            revisited", 2023) do: what layers near to the input keep shows in maps by itself.

    Raises:
        ValueError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], not {share}")
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layers = [list(module.parameters(recurse=False)) for module in shuffled.modules()]
        layers = [parameters for parameters in layers if parameters]
        count = max(1, round(share * len(layers)))
        chosen = layers[:count] if from_input else layers[-count:]
        for parameter in (parameter for layer in chosen for parameter in layer):
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return shuffled
