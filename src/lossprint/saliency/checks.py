"""What the saliency functions demand of their input, told by name and value."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Images = Tensor | NDArray[Any]

Preprocess = Callable[[Tensor], Tensor]
"""uint8 pixels [N, C, H, W] in 0 … 255 to what a model sees, of the same shape."""


def as_tensor(name: str, value: object) -> Tensor:
    """A tensor outside of any graph; numpy arrays are copied.

    Raises:
        TypeError: something else, or an array of something else than numbers.
    """
    if isinstance(value, Tensor):
        return value.detach()
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name} must be a torch tensor or a numpy array, not a {type(value).__name__}"
        )
    if not np.issubdtype(value.dtype, np.number):
        raise TypeError(f"{name} must hold numbers, not {value.dtype}")
    return torch.from_numpy(np.array(value, order="C"))


def model_input(name: str, value: object, preprocessing: Preprocess | None) -> Tensor:
    """What a model sees: pixels, which are uint8, go through `preprocessing`; others stay.

    Raises:
        TypeError: neither a tensor nor an array.
        ValueError: pixels that `preprocessing` does not take.
    """
    tensor = as_tensor(name, value)
    if preprocessing is None or tensor.dtype != torch.uint8:
        return tensor
    batch = tensor if tensor.ndim == 4 else tensor.unsqueeze(0)
    try:
        seen = preprocessing(batch)
    except Exception as error:
        raise ValueError(
            f"preprocessing must take uint8 pixels [N, C, H, W], but of {list(batch.shape)} it "
            f"raised {type(error).__name__}: {error}"
        ) from error
    seen = as_tensor("what preprocessing gives", seen)
    return seen if tensor.ndim == 4 else seen[0]


def single_image(
    name: str, value: object, images: Tensor, preprocessing: Preprocess | None
) -> Tensor:
    """One image [C, H, W] as a model sees it, of the size of `images`, which are preprocessed.

    Raises:
        TypeError: neither a tensor nor an array.
        ValueError: another shape.
    """
    image = model_input(name, value, preprocessing)
    if image.shape != images.shape[1:]:
        raise ValueError(
            f"{name} must be one image [C, H, W] of the images' shape {list(images.shape[1:])}, "
            f"not {list(image.shape)}"
        )
    return image


def reference_images(value: object, images: Tensor, preprocessing: Preprocess | None) -> Tensor:
    """A reference for all images, [1, C, H, W], or one for each, [N, C, H, W], preprocessed.

    Raises:
        TypeError: neither a tensor nor an array.
        ValueError: another shape.
    """
    found = model_input("reference", value, preprocessing)
    if found.shape not in (images.shape, images.shape[1:]):
        raise ValueError(
            f"reference must be one image {list(images.shape[1:])} or one for each, "
            f"{list(images.shape)}, not {list(found.shape)}"
        )
    return found if found.ndim == 4 else found.unsqueeze(0)


def black_image(baseline: object, images: Tensor, preprocessing: Preprocess | None) -> Tensor:
    """`baseline` [C, H, W], where it is given, or else black pixels through `preprocessing`.

    Raises:
        TypeError: a baseline that is neither a tensor nor an array.
        ValueError: neither is given, or an image of another size than the images.
    """
    if baseline is not None:
        return single_image("baseline", baseline, images, preprocessing)
    if preprocessing is None:
        raise ValueError(
            "give baseline=, one black image [C, H, W] preprocessed as the images are, or "
            "preprocessing=, which makes it of black pixels"
        )
    black = torch.zeros(images.shape[1:], dtype=torch.uint8, device=images.device)
    return single_image("the black image after preprocessing", black, images, preprocessing)


def check_model(model: object) -> None:
    """Raises:
    TypeError: not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module from images to embeddings, not a "
            f"{type(model).__name__}"
        )


def check_number(
    name: str, value: object, *, at_least: float = -math.inf, whole: bool = False
) -> None:
    """A finite number that is not below `at_least`.

    Raises:
        TypeError: not a number, or where it must be a whole one, another.
        ValueError: below `at_least`, or not finite.
    """
    kinds: tuple[type, ...] = (int, np.integer)
    if not whole:
        kinds += (float, np.floating)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {value}")
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}, not {value}")


def check_images(images: Tensor) -> None:
    """Images must be a finite floating [N, C, H, W].

    Raises:
        ValueError: otherwise, naming their shape or dtype and the right one.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images must be a non-empty [N, C, H, W], not {list(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(
            f"images must be preprocessed to floating point, not {images.dtype}; pixels of "
            "torch.uint8 need preprocessing="
        )
    for image in (~images.isfinite().flatten(1).all(1)).nonzero():
        raise ValueError(f"image {int(image)} has values that are not finite")


def check_noise(noise: Tensor, images: Tensor) -> None:
    """Noise must hold S draws for each image: [N, S, C, H, W].

    Raises:
        ValueError: otherwise, naming its shape and the right one.
    """
    count, *shape = images.shape
    if noise.ndim != 5 or len(noise) != count or list(noise.shape[2:]) != shape:
        raise ValueError(
            f"noise must be [N, S, C, H, W] = [{count}, S, {', '.join(map(str, shape))}], not "
            f"{list(noise.shape)}"
        )


def check_embeddings(embeddings: object, count: int) -> None:
    """A model's output must be [count, D].

    Raises:
        ValueError: otherwise, naming what the model gave.
    """
    if not isinstance(embeddings, Tensor):
        raise ValueError(
            f"the model must give one tensor [N, D], not a {type(embeddings).__name__}: pass a "
            "module that returns one tensor, such as a wrapper that picks the embeddings out of it"
        )
    if embeddings.ndim != 2 or len(embeddings) != count:
        raise ValueError(
            f"the model must give embeddings [N, D], one row for each image: {count} images gave "
            f"{list(embeddings.shape)}"
        )
    if not embeddings.is_floating_point():
        raise ValueError(f"the model must give floating-point embeddings, not {embeddings.dtype}")
