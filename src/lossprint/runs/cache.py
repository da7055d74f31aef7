"""Results cached by content: computed once for the same weights, images and parameters."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lossprint.files import alone
from lossprint.tensor_files import load_tensors, save_tensors

log = logging.getLogger(__name__)

KEY_LENGTH = 16  # hexadecimal digits, 64 bits


def content_key(*parts: Any) -> str:
    """Hash values by what they contain: equal parts give the same key in every process.

    Args:
        parts: None, bool, int, float, str, bytes, tensors, numpy arrays, and mappings (in any
            order of keys) and sequences of these.

    Returns:
        16 hexadecimal digits.

    Raises:
        TypeError: for a value of another type, whose text may differ between processes.

    Example:
        >>> content_key("maps", {"samples": 50, "seed": 0}) == content_key(
        ...     "maps", {"seed": 0, "samples": 50}
        ... )
        True
    """
    digest = hashlib.sha256()
    _feed(digest, parts)
    return digest.hexdigest()[:KEY_LENGTH]


def file_key(path: Path | str) -> str:
    """Hash a file's bytes, to 16 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:KEY_LENGTH]


def _feed(digest: "hashlib._Hash", value: Any) -> None:
    # Type and length go first, so that no two different values are fed the same bytes.
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if value is None or isinstance(value, bool | int | float | str):
        data = repr(value).encode()
    elif isinstance(value, bytes):
        data = value
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype.str} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
        return
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)} ".encode())
        for key in sorted(value):
            _feed(digest, key)
            _feed(digest, value[key])
        return
    elif isinstance(value, Sequence):
        digest.update(f"sequence {len(value)} ".encode())
        for entry in value:
            _feed(digest, entry)
        return
    else:
        raise TypeError(f"cannot make a key of a {type(value).__name__}: {value!r}")
    digest.update(f"{type(value).__name__} {len(data)} ".encode() + data)


def cache_file(folder: Path | str, kind: str, key: str) -> Path:
    """Name the file of a cached result: `<folder>/<kind>-<key>.safetensors`."""
    return Path(folder) / f"{kind}-{key}.safetensors"


def load_or_compute(
    folder: Path | str,
    kind: str,
    key: str,
    compute: Callable[[], Mapping[str, Tensor]],
    about: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Load a cached result, or compute and keep it.

    Args:
        folder: of the cache, usually a run's `analysis_folder`.
        kind: of result, e.g. "maps" or "embeddings".
        key: of everything the result depends on; see `content_key`.
        compute: called if there is no readable file; gives tensors by name.
        about: words to keep with it, of what the key is made of.

    Returns:
        Tensors by name, on the CPU.
    """
    return load_tensors(kept_file(folder, kind, key, compute, about))


def kept_file(
    folder: Path | str,
    kind: str,
    key: str,
    compute: Callable[[], Mapping[str, Tensor]],
    about: Mapping[str, str] | None = None,
) -> Path:
    """Compute and keep a result unless it is cached; its file may be read piece by piece.

    Of two processes that want it at once, the second waits for what the first one computes.
    Arguments are those of `load_or_compute`.
    """
    path = cache_file(folder, kind, key)
    if not is_kept(path):
        with alone(folder, f"computing {kind} in {folder}"):
            if not is_kept(path):
                save_tensors(compute(), path, about)
    return path


def is_kept(path: Path) -> bool:
    """Whether a cached file is there and whole; of a damaged one it is said that it is not."""
    try:
        load_tensors(path)
    except FileNotFoundError:
        return False
    except ValueError as error:  # by a full disk, say: it is only a cache
        log.warning("%s; it is computed anew", error)
        return False
    return True
