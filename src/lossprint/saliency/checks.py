"""What the saliency functions demand of their input, told by name and value."""

from torch import Tensor


def check_images(images: Tensor, **others: Tensor | None) -> None:
    """Images must be a finite floating [N, C, H, W]; each of `others`, where given, [C, H, W].

    Raises:
        ValueError: otherwise, naming the argument, its shape and the right one.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"images must be a non-empty [N, C, H, W], not {list(images.shape)}")
    if not images.is_floating_point():
        raise ValueError(f"images must be preprocessed to floating point, not {images.dtype}")
    for image in (~images.isfinite().flatten(1).all(1)).nonzero():
        raise ValueError(f"image {int(image)} has values that are not finite")
    for name, other in others.items():
        if other is not None and other.shape != images.shape[1:]:
            raise ValueError(
                f"{name} must be one image [C, H, W] of the images' shape "
                f"{list(images.shape[1:])}, not {list(other.shape)}"
            )


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
            f"the model must give one tensor [N, D], not a {type(embeddings).__name__}"
        )
    if embeddings.ndim != 2 or len(embeddings) != count:
        raise ValueError(
            f"the model must give embeddings [N, D], one row for each image: {count} images gave "
            f"{list(embeddings.shape)}"
        )
