"""Check the arguments of a configured object against its constructor, before it is called.

Constructors that pass `**kwargs` on to a base class fail there, late and without naming what was
meant. Here the names are collected along the inheritance, so that a mistyped one is answered with
the valid ones.
"""

import importlib
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

TARGET = "_target_"
# Keys by which a configuration tells how to instantiate rather than what to pass on.
RESERVED = frozenset({TARGET, "_args_", "_convert_", "_partial_", "_recursive_"})


def locate(target: str) -> Any:
    """Import what a dotted path names, e.g. `pytorch_metric_learning.losses.CircleLoss`.

    Raises:
        ValueError: if there is no such module or no such name in it.
    """
    parts = target.split(".") if isinstance(target, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"_target_ must be a dotted path package.module.Class, not {target!r}.")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and (
                module_name == error.name or module_name.startswith(error.name + ".")
            ):
                continue
            raise ValueError(f"_target_ {target!r} cannot be imported: {error}.") from error
        try:
            for part in parts[split:]:
                found = getattr(found, part)
        except AttributeError as error:
            raise ValueError(f"_target_ {target!r} does not exist: {error}.") from error
        return found
    raise ValueError(f"_target_ {target!r} cannot be imported: there is no module {parts[0]!r}.")


def valid_arguments(target: Any) -> dict[str, inspect.Parameter] | None:
    """Collect the keyword arguments of a callable, for a class along the bases it hands on to.

    Args:
        target: a class or a function.

    Returns:
        name → parameter, in the order a reader would look for them; None if anything is accepted.
    """
    if not inspect.isclass(target):
        signatures = [inspect.signature(target)]
    else:
        signatures = [
            inspect.signature(vars(base)["__init__"])
            for base in inspect.getmro(target)
            if "__init__" in vars(base)
            and base.__module__.split(".")[0] not in {"torch", "builtins"}
        ]
        if not signatures:  # the constructor is torch's own or Python's
            signatures = [inspect.signature(target)]
    found: dict[str, inspect.Parameter] = {}
    for signature in signatures:
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        for name, parameter in signature.parameters.items():
            if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                found.setdefault(name, parameter)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    else:  # the last one keeps the remaining keywords for itself
        return None
    found.pop("self", None)
    return found


def check_arguments(config: Mapping[str, Any], *, where: str) -> None:
    """Raise unless every argument of a `_target_` configuration is known and of a fitting type.

    Nested configurations are checked too, in lists and mappings as well. A number is expected where
    the constructor's default is one, true or false where the default is.

    Args:
        config: `_target_` and its keyword arguments, as plain containers.
        where: what the configuration is called by the user, e.g. `loss.criterion`.

    Raises:
        ValueError: naming the argument, its value and what would be valid.
    """
    if TARGET not in config:
        raise ValueError(f"{where} has no _target_ (the dotted path of a class).")
    target = locate(config[TARGET])
    if not callable(target):
        raise ValueError(f"{where}: _target_ {config[TARGET]!r} is not a class.")
    valid = valid_arguments(target)
    for name, value in config.items():
        if name in RESERVED:
            continue
        if valid is not None and name not in valid:
            raise ValueError(
                f"{where}.{name}: {config[TARGET].rsplit('.', 1)[-1]} takes no argument {name!r}. "
                f"Valid: {', '.join(sorted(valid)) or 'none'}."
            )
        if valid is not None:
            _check_type(value, valid[name].default, f"{where}.{name}")
        for place, inner in _configured(value, f"{where}.{name}"):
            check_arguments(inner, where=place)


def _configured(value: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The `_target_` configurations of a value and what each is called, through its containers."""
    if isinstance(value, Mapping) and TARGET in value:
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _configured(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _configured(inner, f"{where}[{place}]")


def _check_type(value: Any, default: Any, where: str) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{where} must be true or false, not {value!r}.")
    elif isinstance(default, int | float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{where} must be a number, not {value!r}.")
        if not math.isfinite(value):
            raise ValueError(f"{where} must be a finite number, not {value!r}.")
