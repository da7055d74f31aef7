"""A file's weights into a network: every key and every shape has to agree, or it is told how."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lossprint.models.archives import Archive, State, read_archive
from lossprint.models.key_maps import (
    KeyMap,
    Proposal,
    by_order,
    propose,
    read_key_map,
    rename_keys,
)

log = logging.getLogger(__name__)

_NAMED_KEYS = 10
_PAIRED = ("trunk", "embedder")


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A network's state as it is saved: on the CPU, each tensor with memory of its own."""
    return {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def load_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Load `state` into `model`: every key and every shape has to agree.

    Raises:
        ValueError: see `check_weights`.
    """
    check_weights(model, state, source=source)
    model.load_state_dict(state, strict=False)


def check_weights(model: nn.Module, state: Mapping[str, Tensor], *, source: Path | str) -> None:
    """Raise unless every key and every shape of `state` agrees with the model's.

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
    ] + [
        f"{key} holds whole numbers, {state[key].dtype}, as quantized weights do"
        for key, value in own.items()
        if key in state and value.is_floating_point() and not state[key].is_floating_point()
    ]
    unusable = [key for key in own if key in state and not _is_finite(state[key])]
    problems = [
        f"{len(keys)} {kind}: {_first(keys)}"
        for kind, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("wrong tensors", misshapen),
            ("tensors without values or with infinite ones, of a training that diverged", unusable),
        )
        if keys
    ]
    if problems:
        raise ValueError(f"{source} does not fit {type(model).__name__}: " + "; ".join(problems))


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_meta and bool(torch.isfinite(tensor).all())


def load_checkpoint(
    model: nn.Module,
    path: Path | str | Sequence[Path | str],
    *,
    key_map: KeyMap | str | None = None,
    part: str | None = None,
    headless: bool = False,
) -> nn.Module:
    """Give any architecture the weights of a file.

    Without a key map, names that agree but for a wrapper's prefix (`module.`, `model.`) are taken
    so, and it is logged; of any other way to read the file the message proposes the key map.

    Args:
        model: gets the weights in place, and is put into eval mode.
        path: see `read_archive`; of several files that are one network, such as a trunk and an
            embedder, names begin with the file's, `trunk_best.`.
        key_map: see `read_key_map`; None and an empty one leave the names as they are.
        part: which of the file's state dicts; None takes the first that fits.
        headless: the model lacks its classifier on purpose, so the file's is left out.

    Raises:
        FileNotFoundError, ValueError: the file or its keys do not fit.
    """
    archive = _read(path)
    renaming = read_key_map(key_map)
    candidates = archive.parts if part is None else {part: archive.part(part)}
    errors = []
    for name, state in candidates.items():
        try:
            fitting, used, dropped = _fitted(model, state, renaming, archive, headless)
        except ValueError as error:
            errors.append(error)
            continue
        log.info("%s: %s", archive.path, _said(archive, name, used, dropped))
        model.load_state_dict(fitting, strict=False)
        return model.eval()
    raise errors[0]


def check_embeds(model: nn.Module, image_size: int, embedding_size: int | None = None) -> None:
    """Raise unless a network turns square images into embeddings.

    Args:
        model: put into eval mode.
        image_size: side of the images [N, 3, S, S].
        embedding_size: what it has to give; None accepts any size.

    Raises:
        ValueError: it takes no such images, or its output is not [N, D] with D = `embedding_size`.
    """
    model.eval()
    try:
        with torch.no_grad():
            output = model(torch.zeros(2, 3, image_size, image_size))
    # Libraries refuse a size by assertions, by errors of their own and by shapes that do not fit.
    except (AssertionError, RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ValueError(
            f"{type(model).__name__} cannot embed images of {image_size} px: "
            f"{' '.join(str(error).split())}; it is given (2, 3, {image_size}, {image_size}), and "
            "models.probe.size=… is another size"
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != 2:
        raise ValueError(
            f"{type(model).__name__} turns 2 images into {shape}, not into embeddings (2, D): have "
            "models.model.network name a class whose forward returns one tensor, pooled"
        )
    if not torch.isfinite(output).all():
        raise ValueError(
            f"{type(model).__name__} gives embeddings that are not finite, of black images of "
            f"{image_size} px"
        )
    if embedding_size is not None and output.shape[1] != embedding_size:
        raise ValueError(
            f"{type(model).__name__} gives embeddings of size {output.shape[1]}, not "
            f"{embedding_size}"
        )


def _read(path: Path | str | Sequence[Path | str]) -> Archive:
    if isinstance(path, str | Path):
        return read_archive(path)
    archives = [read_archive(each) for each in path]
    together: State = {}
    for archive in archives:
        for key, value in next(iter(archive.parts.values())).items():
            together[f"{archive.path.stem}.{key}"] = value
    return Archive(archives[0].path, {"": together})


def _fitted(
    model: nn.Module, state: State, renaming: KeyMap | str, archive: Archive, headless: bool
) -> tuple[State, KeyMap | str, Sequence[str]]:
    """The state under the network's names, by which map, and the prefixes that are left out."""
    own = model.state_dict()
    if isinstance(renaming, str):
        ordered = by_order(state, own)
        if ordered is None:
            raise ValueError(_no_order(state, own, archive))
        check_weights(model, ordered, source=archive.path)
        return ordered, renaming, list(state)[len(ordered) :]
    renamed = rename_keys(state, renaming)
    try:
        check_weights(model, renamed, source=archive.path)
    except ValueError as error:
        proposal = None if renaming else propose(state, own)
        if proposal is not None and proposal.is_obvious(headless=headless):
            assert not isinstance(proposal.key_map, str)
            fitting = rename_keys(state, proposal.key_map)
            check_weights(model, fitting, source=archive.path)
            return fitting, proposal.key_map, proposal.dropped
        raise ValueError(f"{error}. {_advice(archive, state, own, proposal)}") from error
    return renamed, renaming, ()


def _said(archive: Archive, part: str, renaming: KeyMap | str, dropped: Sequence[str]) -> str:
    said = archive.described()
    if part:
        said += f"; {part} is taken"
    if renaming:
        said += f"; read with key_map={renaming}"
    if dropped:
        said += f"; left out: {_first(dropped)}"
    return said


def _advice(
    archive: Archive, state: State, own: Mapping[str, Tensor], proposal: Proposal | None
) -> str:
    """What the file holds, and what to type."""
    said = archive.described()
    said = said[0].upper() + said[1:]
    if proposal is not None:
        what = f"{proposal.matched} of {len(own)} tensors fit"
        if isinstance(proposal.key_map, str):
            what += " by order and shape, though not by name; look at the maps that come of it"
        left = f", leaving out {_first(proposal.dropped)}" if proposal.dropped else ""
        return f"{said}. {what}{left}:\n    {proposal.pasted(state)}"
    beside = [
        other
        for word, counterpart in (_PAIRED, _PAIRED[::-1])
        if word in archive.path.name
        and (
            other := archive.path.with_name(archive.path.name.replace(word, counterpart))
        ).is_file()
    ]
    if beside:
        return (
            f"{said}. If {beside[0].name} is its other half: weights: [{archive.path}, {beside[0]}]"
        )
    tops = dict.fromkeys(key.split(".")[0] for key in state)
    return (
        f"{said}; its names begin with {_first(tops)}. Neither prefixes nor the order of the "
        "tensors fill the network: is it of the same architecture?"
    )


def _no_order(state: State, own: Mapping[str, Tensor], archive: Archive) -> str:
    pairs = zip(state.items(), own.items(), strict=False)
    odd = next(
        (
            f"{key} is {tuple(value.shape)}, and {name} in its place {tuple(wanted.shape)}"
            for (key, value), (name, wanted) in pairs
            if value.shape != wanted.shape
        ),
        f"it has {len(state)} tensors, the network {len(own)}",
    )
    return f"{archive.path} is not the network by order and shape: {odd}"


def _first(keys: Iterable[str]) -> str:
    keys = list(keys)
    return ", ".join(keys[:_NAMED_KEYS]) + (", …" if len(keys) > _NAMED_KEYS else "")
