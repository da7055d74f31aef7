"""Weights on disk: which state dicts a file holds, read without running code from it."""

import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lossprint.models.foreign_files import foreign_kind, foreign_zip, missing_file, shards
from lossprint.tensor_files import load_tensors

# Names under which training frameworks put the weights, the likeliest first.
_PARTS = (
    "", "state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params",
    "backbone", "encoder", "trunk",
)  # fmt: skip
_AVERAGED = ("ema", "swa", "teacher", "averaged")
_DEPTH = 3
_PLAIN = (int, float, bool, str, bytes, type(None))

_MARK = "_stands_in_for_an_object"

State = dict[str, Tensor]


class _StandIn:
    """Takes the place of the class of a pickled object, which is neither imported nor looked at.

    What it makes is an empty mapping with a mark: `torch.load` fills in entries of a mapping and
    attributes of any object, and calls nothing.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made: OrderedDict[Any, Any] = OrderedDict()
        made.__dict__[_MARK] = True
        return made


def _is_stand_in(value: Any) -> bool:
    return hasattr(value, _MARK) or (isinstance(value, type) and issubclass(value, _StandIn))


@dataclass(frozen=True, eq=False)
class Archive:
    """What a file of weights holds.

    Attributes:
        path: of the file.
        parts: state dicts by where they lie in it, e.g. `state_dict` or `ema.model`, "" for the
            file itself; the one that is likeliest meant comes first.
        others: names of what else lies beside them.
    """

    path: Path
    parts: Mapping[str, State]
    others: tuple[str, ...] = ()

    def part(self, name: str) -> State:
        """The state dict of that name.

        Raises:
            ValueError: there is none; the message lists those there are.
        """
        if name not in self.parts:
            raise ValueError(f"{self.path} has no part {name!r}; {self.described()}")
        return self.parts[name]

    def described(self) -> str:
        """`it holds state_dict (62 tensors), ema (62 tensors); besides epoch, optimizer_states`."""
        parts = ", ".join(
            f"{name or 'a state dict'} ({len(state)} tensors)" for name, state in self.parts.items()
        )
        besides = f"; besides {', '.join(self.others)}" if self.others else ""
        return f"it holds {parts}{besides}"


def read_archive(path: Path | str) -> Archive:
    """Read all state dicts of a `.safetensors` file or a `torch.save` archive, onto the CPU.

    An archive is read with `weights_only=True`. Objects that lie beside the weights, such as
    hyperparameters, are not built: nothing of their classes is imported or run. Of a network in
    several files, `model-00001-of-00002.safetensors`, one or their index stands for all.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds no state dict, or holds pickled code instead of one;
            the message then says how to take the weights out of it.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path)
    several = shards(path)
    if several:
        states = [next(iter(_read(file).parts.values())) for file in several]
        return Archive(path, {"": {key: state[key] for state in states for key in state}})
    return _read(path)


def _read(path: Path) -> Archive:
    kind = foreign_kind(path)
    if kind is not None:
        raise ValueError(f"{path} is {kind}")
    if path.suffix == ".safetensors":
        try:
            return Archive(path, {"": load_tensors(path)})
        except ValueError as error:
            raise ValueError(f"{error}; copy it anew") from error
    content = _load(path)
    parts: dict[str, State] = {}
    others: list[str] = []
    _collect(content, "", parts, others)
    if not parts:
        if _holds_stand_in(content):
            raise _refused(path, content)
        raise ValueError(
            f"{path} is not a state dict: expected names mapped to tensors, found "
            f"{_named(content)}. Save the weights with torch.save(model.state_dict(), path)"
        )
    ordered = dict(sorted(parts.items(), key=lambda part: _unlikely(part[0])))
    return Archive(path, ordered, tuple(others))


def read_state_dict(path: Path | str) -> State:
    """The named tensors of a file: the likeliest meant of its state dicts.

    Raises:
        FileNotFoundError, ValueError: see `read_archive`.
    """
    return next(iter(read_archive(path).parts.values()))


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = error
    except Exception as error:  # a damaged archive breaks wherever the damage lies
        kind = foreign_zip(path)
        if kind is not None:
            raise ValueError(f"{path} is {kind}") from error
        raise ValueError(
            f"{path} is not a readable torch archive: {_line(error)}; copy it anew"
        ) from error
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(type("_StandIn", (_StandIn,), {}), name) for name in names]
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # neither does it hold weights that can be read beside the objects
        raise _refused(path) from first


def _refused(path: Path, content: Any = None) -> ValueError:
    take = "content"
    if isinstance(content, Mapping):
        key = next((key for key, value in content.items() if _is_stand_in(value)), None)
        take = "content" if key is None else f"content[{key!r}]"
    return ValueError(
        f"{path} is refused: it is no plain archive of tensors (it holds pickled Python objects, "
        "which could run code, or is damaged). Where you trust it and its classes can be imported, "
        "these lines take the weights out:\n"
        "    import torch\n"
        f"    content = torch.load({str(path)!r}, map_location='cpu', weights_only=False)\n"
        f"    torch.save({take}.state_dict(), {str(path.with_stem(path.stem + '-weights'))!r})"
    )


def _collect(content: Any, name: str, parts: dict[str, State], others: list[str]) -> None:
    """Find state dicts in nested mappings; `others` gets the names of the rest."""
    if not isinstance(content, Mapping) or not content:
        others.append(name)
        return
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    rest = [value for value in content.values() if not isinstance(value, Tensor)]
    if (
        tensors
        and all(isinstance(key, str) for key in content)
        and all(isinstance(value, _PLAIN) for value in rest)
    ):
        parts[name] = tensors
        return
    if name.count(".") >= _DEPTH:
        others.append(name)
        return
    for key, value in content.items():
        _collect(value, f"{name}.{key}" if name else str(key), parts, others)


def _holds_stand_in(content: Any) -> bool:
    if isinstance(content, Mapping) and any(map(_holds_stand_in, content.values())):
        return True
    return _is_stand_in(content)


def _unlikely(name: str) -> tuple[bool, int, str]:
    """Averaged weights come after plain ones, unknown names after known ones."""
    averaged = any(word in name.lower() for word in _AVERAGED)
    known = [_PARTS.index(word) for word in name.split(".") if word in _PARTS]
    return averaged, min(known, default=len(_PARTS)), name


def _named(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"a mapping with {', '.join(_first(content)) or 'no entry'}"
    return f"a {type(content).__name__}"


def _first(content: Mapping[Any, Any], count: int = 5) -> Iterator[str]:
    for position, (key, value) in enumerate(content.items()):
        if position == count:
            yield "…"
            return
        yield f"{key!r} ({type(value).__name__})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
