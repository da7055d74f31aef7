"""How a command ends: bad input in one line, anything else with its traceback."""

import getpass
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

USER_ERRORS = (ValueError, OSError, ArithmeticError)
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
    console.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    if not isinstance(error, USER_ERRORS):
        console.print_exception()


def exit_code(error: Exception) -> int:
    """2 for bad input, 1 for another failure."""
    return 2 if isinstance(error, USER_ERRORS) else 1


@contextmanager
def command(console: Console, *, interrupted: str) -> Iterator[None]:
    """Run the body of a command: exits with 2 on bad input, 1 on another failure, 130 on Ctrl-C.

    Args:
        console: errors are printed to it.
        interrupted: what to say after Ctrl-C, e.g. how to go on.
    """
    work_anywhere()
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"[yellow]interrupted[/]; {escape(interrupted)}", soft_wrap=True)
        sys.exit(130)
    except Exception as error:
        show_error(error, console)
        sys.exit(exit_code(error))
