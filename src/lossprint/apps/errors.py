"""How a command ends: bad input in one line, anything else with its traceback."""

import getpass
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from lossprint.rendering.processes import WorkerError

_FROM_HYDRA = (OverrideParseException, ConfigCompositionException, OmegaConfBaseException)
USER_ERRORS = (ValueError, OSError, ArithmeticError, WorkerError, *_FROM_HYDRA)
"""What bad input, a full disk or a diverging loss raise; their messages say what to do."""


def work_anywhere() -> None:
    """Go on in a terminal of few characters, and as a user whom the system does not know.

    Characters that a terminal cannot show, such as • in ASCII, are shown as ? instead. A container
    started for a bare number has no home and no name, which libraries ask for: it gets them.
    """
    if not Path(os.path.expanduser("~")).is_absolute():
        os.environ["HOME"] = str(Path(tempfile.gettempdir(), f"home-of-{os.getuid()}"))
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def show_error(error: Exception, console: Console) -> None:
    """Print an error in one line, and its traceback where it is not one of `USER_ERRORS`."""
    text = told(error) if isinstance(error, _FROM_HYDRA) else str(error)
    console.print(f"[red]error:[/] {escape(text)}", highlight=False, soft_wrap=True)
    if not isinstance(error, USER_ERRORS):
        console.print_exception()


def told(error: Exception) -> str:
    """An error of Hydra's in one line, with what would be valid."""
    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name} is unknown; valid are {', '.join(error.options)}"
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        key, valid = str(cause.full_key), [str(key) for key in cause.parent_node if key != "hydra"]
        if not valid:
            return f"unknown {key}: {key.rpartition('.')[0]} has no entries"
        more = f"; +{key}=… adds it" * ("." in key)  # an argument of what is configured
        return f"unknown {key}; valid are {', '.join(sorted(valid))}{more}"
    return " ".join(str(error).split())


def _unreadable(word: str) -> str:
    """What is wrong with an override that is against Hydra's grammar, and how it is typed."""
    name, equals, value = word.partition("=")
    if not equals or not re.fullmatch(r"[\w.@/+~-]+", name):
        return f"{word!r} is no setting: write name=value without spaces, as loss=triplet"
    if value.startswith(("[", "{")):
        return (
            f"{name} cannot be read: a list is [a, b], a mapping {{a: 1, b: 2}}, and a text with "
            f"characters such as ~ ( ) = in double quotes; it is {value}"
        )
    quoted = value.strip("\"'").replace('"', '\\"')
    return (
        f"{word} cannot be read: a text with characters such as ~ ( ) = stands in double quotes, "
        "and in single ones for the shell: " + shlex.quote(f'{name}="{quoted}"')
    )


def exit_code(error: Exception) -> int:
    """2 for bad input, 1 for another failure."""
    return 2 if isinstance(error, USER_ERRORS) else 1


@contextmanager
def command(console: Console, *, interrupted: str) -> Iterator[None]:
    """Run the body of a command: exits with 2 on bad input, 1 on another failure, 130 on Ctrl-C.

    Args:
        console: errors are printed to it.
        interrupted: what to say after Ctrl-C, e.g. how to go on, unless the interrupt itself does.
    """
    work_anywhere()
    try:
        yield
    except KeyboardInterrupt as interrupt:
        text = str(interrupt) or interrupted
        console.print(f"[yellow]interrupted[/]; {escape(text)}", soft_wrap=True)
        sys.exit(130)
    except Exception as error:
        show_error(error, console)
        sys.exit(exit_code(error))
