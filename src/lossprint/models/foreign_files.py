"""Files that are given as weights: what they are instead, and networks in several files."""

import json
import re
import zipfile
from pathlib import Path

from lossprint.files import placeholder

_BEGINNINGS = {
    b"\x89HDF": "an HDF5 file, as Keras writes them, not weights of PyTorch",
    b"GGUF": "a GGUF file, not weights of PyTorch",
    b"\x1f\x8b": "compressed: unpack it with gunzip",
    b"\x93NUMPY": "an array of NumPy, not named weights",
}
_ENDINGS = {".onnx": "an ONNX graph", ".tflite": "a TFLite graph", ".pb": "a TensorFlow graph"}
_SHARD = re.compile(r"(.+)-\d+-of-(\d+)(\.\w+)")
_INDEX = ".index.json"


def foreign_kind(path: Path) -> str | None:
    """What a file is that holds no weights of PyTorch, and what to do; None where it may."""
    instead = placeholder(path)
    if instead is not None:
        return instead
    with path.open("rb") as file:
        start = file.read(8)
    for beginning, kind in _BEGINNINGS.items():
        if start.startswith(beginning):
            return kind
    if path.suffix.lower() in _ENDINGS:
        return (
            f"{_ENDINGS[path.suffix.lower()]}: save the weights that it was made of, "
            "torch.save(model.state_dict(), path)"
        )
    return None


def foreign_zip(path: Path) -> str | None:
    """What a zip archive is that `torch.load` does not read; None where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(name).name for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if "constants.pkl" in names:
        weights = str(path.with_stem(f"{path.stem}-weights"))
        return (
            'a TorchScript program: python -c "import torch; torch.save(torch.jit.load('
            f"'{path}').state_dict(), '{weights}')\" takes the weights out"
        )
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy, not weights of PyTorch"
    return None if "data.pkl" in names else "a zip archive of something else: unpack it"


def missing_file(path: Path) -> FileNotFoundError:
    """The error for weights that are no file; of a folder it names what lies there."""
    if not path.is_dir():
        return FileNotFoundError(f"no weights file at {path}")
    inside = ", ".join(sorted(file.name for file in path.iterdir() if file.is_file()))
    what = f"one of {inside}" if inside else "though it has none"
    return FileNotFoundError(f"{path} is a folder; name the file of weights in it, {what}")


def shards(path: Path) -> list[Path]:
    """Files of a network that lies in several, given one of them or their index; else none.

    Raises:
        FileNotFoundError: some of them are not there.
        ValueError: the index is damaged.
    """
    if path.name.endswith(_INDEX):
        try:
            names = set(json.loads(path.read_text())["weight_map"].values())
            found = [path.with_name(name) for name in sorted(names)]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} is no index of weights ({' '.join(str(error).split())}): it maps names "
                "to files under `weight_map`; copy it anew, or give the files"
            ) from error
    elif match := _SHARD.fullmatch(path.name):
        stem, count, suffix = match.groups()
        numbers = range(1, int(count) + 1)
        found = [path.with_name(f"{stem}-{n:0{len(count)}}-of-{count}{suffix}") for n in numbers]
    else:
        return []
    absent = [file for file in found if not file.is_file()]
    if absent:
        raise FileNotFoundError(
            f"{path} is one of {len(found)} files of a network, of which {len(absent)} are not "
            f"beside it, the first is {absent[0].name}"
        )
    return found
