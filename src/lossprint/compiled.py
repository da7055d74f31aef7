"""Functions compiled by numba, kept on disk where there is a place for that."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function | None = None, **options: Any) -> Any:
    """`numba.njit` without the global interpreter lock, for the next process to find it compiled.

    Where neither the package nor the user's home can be written, as of an installation that is used
    by somebody without a home, each process compiles anew, which takes seconds.

    Args:
        function: to compile, if this is used without options.
        options: of `numba.njit`.
    """
    if function is None:
        return lambda given: compiled(given, **options)
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # "no locator available": numba looks for a place when it decorates
        return njit(nogil=True, **options)(function)
