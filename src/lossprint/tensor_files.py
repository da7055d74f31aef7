"""Tensors by name on disk: safetensors that are whole, and that know when they are damaged."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from lossprint.files import whole_file

CHECKSUM = "sha256"


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path | str, about: Mapping[str, str] | None = None
) -> None:
    """Write tensors, and beside them in the file a checksum of what they hold.

    Args:
        tensors: by name.
        path: of the file.
        about: further words to write beside them, see `read_about`.

    Raises:
        OSError: it cannot be written; names the file.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Bytes, which Python writes: the file gets the permissions of any other, and errors a name.
    content = save(plain, metadata={**(about or {}), CHECKSUM: _checksum(plain)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def load_tensors(path: Path | str) -> dict[str, Tensor]:
    """Read tensors onto the CPU. A file of other origin has no checksum, and is taken as it is.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, and which it is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(CHECKSUM)
        tensors = load_file(path)
        found = None if expected is None else _checksum(tensors)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a readable safetensors file: {reason}") from error
    if found != expected:
        raise ValueError(f"{path} is damaged: its checksum is not that of what it holds")
    return tensors


def read_about(path: Path | str) -> dict[str, str]:
    """The words that a file holds beside its tensors; none where it cannot be read."""
    if not Path(path).is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return {}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
