"""State dicts from disk: read without running code, renamed, and checked key by key."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_NAMED_KEYS = 10


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """Read named tensors from a `.safetensors` file or a `torch.save` archive, onto the CPU.

    An archive is read with `weights_only=True`. A dictionary that wraps the state dict, as
    training frameworks write it (`state_dict`, `model_state_dict` or `model`), is unwrapped.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds pickled Python objects, or is not a state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is refused: it is no plain archive of tensors (it holds pickled Python "
            "objects, which could run code, or is damaged). Save the weights alone, with "
            "safetensors or torch.save(model.state_dict(), path)."
        ) from error
    except (EOFError, RuntimeError) as error:
        raise ValueError(f"{path} is not a readable torch archive: {error}") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise ValueError(f"{path} is not a state dict: expected names mapped to tensors")
    return dict(content)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A network's state as it is saved: on the CPU, each tensor with memory of its own."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def rename_keys(
    state: Mapping[str, Tensor], key_map: Mapping[str, str | None]
) -> dict[str, Tensor]:
    """Replace key prefixes; a prefix mapped to None drops its keys.

    The longest matching prefix decides, `""` matches everything.

    >>> sorted(rename_keys({"module.a": torch.ones(1), "fc.b": torch.ones(1)},
    ...                    {"module.": "", "fc.": None}))
    ['a']

    Raises:
        ValueError: two keys end under the same name.
    """
    renamed: dict[str, Tensor] = {}
    prefixes = sorted(key_map, key=len, reverse=True)
    for key, value in state.items():
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        if prefix is None:
            target = key
        else:
            replacement = key_map[prefix]
            if replacement is None:
                continue
            target = replacement + key[len(prefix) :]
        if target in renamed:
            raise ValueError(f"the key map sends two keys to {target!r}; one of them is {key!r}")
        renamed[target] = value
    return renamed


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Load `state` into `model`: every key and every shape has to agree.

    BatchNorm's `num_batches_tracked` may be absent, as it is in archives from before it existed.

    Raises:
        ValueError: keys are missing or unexpected, or shapes differ; the first ten are named.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    misshapen = [
        f"{key} is {tuple(state[key].shape)}, the model has {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = [
        f"{len(keys)} {kind}: {_first(keys)}"
        for kind, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("wrong shapes", misshapen),
        )
        if keys
    ]
    if problems:
        raise ValueError(f"{source} does not fit {type(model).__name__}: " + "; ".join(problems))
    model.load_state_dict(state, strict=False)


def load_checkpoint(
    model: nn.Module,
    path: Path | str,
    *,
    key_map: Mapping[str, str | None] | None = None,
    image_size: int,
    embedding_size: int | None = None,
) -> nn.Module:
    """Give any architecture the weights of a file, and find out that it embeds images.

    Args:
        model: gets the weights in place, and is put into eval mode.
        path: see `read_state_dict`.
        key_map: see `rename_keys`; None leaves the names as they are.
        image_size: side of the square images [N, 3, S, S] it takes.
        embedding_size: what it has to give; None accepts any size.

    Raises:
        FileNotFoundError, ValueError: the file or its keys do not fit, or the output is not
            [N, D] with D = `embedding_size`.
    """
    state = rename_keys(read_state_dict(path), key_map or {})
    load_weights(model, state, source=path)
    model.eval()
    try:
        with torch.no_grad():
            output = model(torch.zeros(2, 3, image_size, image_size))
    except RuntimeError as error:
        raise ValueError(
            f"{type(model).__name__} cannot embed images of {image_size} px: {error}"
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 2:
        raise ValueError(
            f"{type(model).__name__} turns 2 images into {shape}, not into embeddings (2, D)"
        )
    if embedding_size is not None and output.shape[1] != embedding_size:
        raise ValueError(f"{path} gives embeddings of size {output.shape[1]}, not {embedding_size}")
    return model


def _first(keys: Iterable[str]) -> str:
    keys = list(keys)
    return ", ".join(keys[:_NAMED_KEYS]) + (", …" if len(keys) > _NAMED_KEYS else "")
